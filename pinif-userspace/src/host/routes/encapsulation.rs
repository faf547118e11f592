//! What a route puts its packets into before they leave: `encap` of `ip route`, the kernel's lightweight tunnels (`lwtunnel_output`).

use std::net::Ipv6Addr;

use netlink_packet_route::route::{
    RouteAttribute, RouteLwEnCapType, RouteLwTunnelEncap, RouteMessage, RouteSeg6IpTunnel, Seg6Mode,
};

/// What a route does to its packets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Encapsulation {
    /// As `ip route` takes it, such as `encap seg6 mode encap segs fd00::2`; the type alone where the rest is not read.
    pub words: String,
    /// The words are all of it.
    pub is_whole: bool,
    /// Where the outer packet goes: the first segment of a list (RFC 8986, 5); none where that is not read, or there is no outer packet
    /// (`seg6 mode inline`).
    pub to: Option<Ipv6Addr>,
}

impl Encapsulation {
    /// What a route's message says of it; none of a route that leaves its packets as they are.
    pub(super) fn read(message: &RouteMessage) -> Option<Self> {
        let mut attributes = message.attributes.iter();
        let kind = attributes.find_map(|attribute| match attribute {
            RouteAttribute::EncapType(kind) if *kind != RouteLwEnCapType::None => Some(*kind),
            _ => None,
        })?;
        let mut attributes = message.attributes.iter();
        let parts = attributes.find_map(|attribute| match attribute {
            RouteAttribute::Encap(parts) => Some(&parts[..]),
            _ => None,
        });
        Some(segments(parts.unwrap_or_default()).unwrap_or_else(|| Self {
            words: format!("encap {kind}"),
            is_whole: false,
            to: None,
        }))
    }
}

/// A list of segments (`seg6_build_state`).
fn segments(parts: &[RouteLwTunnelEncap]) -> Option<Encapsulation> {
    let header = parts.iter().find_map(|part| match part {
        RouteLwTunnelEncap::Seg6(RouteSeg6IpTunnel::Seg6(header)) => Some(header),
        _ => None,
    })?;
    let mode = match header.mode {
        Seg6Mode::Inline => "inline",
        Seg6Mode::Encap => "encap",
        // `SEG6_IPTUN_MODE_L2ENCAP` and those after it (linux/seg6_iptunnel.h).
        Seg6Mode::Other(2) => "l2encap",
        Seg6Mode::Other(3) => "encap.red",
        Seg6Mode::Other(4) => "l2encap.red",
        _ => return None,
    };
    let is_inline = header.mode == Seg6Mode::Inline;
    // The last one is the packet's own destination, which nobody wrote.
    let written = header.segments.iter().filter(|one| !one.is_unspecified());
    let written: Vec<String> = written.map(Ipv6Addr::to_string).collect();
    Some(Encapsulation {
        words: format!("encap seg6 mode {mode} segs {}", written.join(",")),
        is_whole: parts.len() == 1 && header.hmac.is_none(),
        to: header.segments.first().copied().filter(|_| !is_inline),
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::Seg6Header;

    use super::*;

    fn read(parts: Vec<RouteSeg6IpTunnel>) -> Option<Encapsulation> {
        let mut message = RouteMessage::default();
        message.attributes = vec![
            RouteAttribute::Encap(parts.into_iter().map(RouteLwTunnelEncap::Seg6).collect()),
            RouteAttribute::EncapType(RouteLwEnCapType::Seg6),
        ];
        Encapsulation::read(&message)
    }

    fn header(mode: Seg6Mode, segments: &[&str]) -> Seg6Header {
        let mut header = Seg6Header::default();
        header.mode = mode;
        let segments = segments.iter().map(|one| one.parse().expect("an address"));
        header.segments = segments.collect();
        header
    }

    #[test]
    fn segments_are_written_as_they_are_given() {
        let two = header(Seg6Mode::Other(3), &["fd00::2", "fd00::3"]);
        let one = Encapsulation {
            words: "encap seg6 mode encap.red segs fd00::2,fd00::3".to_owned(),
            is_whole: true,
            to: Some("fd00::2".parse().expect("an address")),
        };
        let read_of = |header: &Seg6Header| read(vec![RouteSeg6IpTunnel::Seg6(header.clone())]);
        assert_eq!(read_of(&two), Some(one.clone()));
        let source = RouteSeg6IpTunnel::Src("fd00::1".parse().expect("an address"));
        let more = read(vec![RouteSeg6IpTunnel::Seg6(two.clone()), source]);
        assert!(!more.expect("one").is_whole);
        let mut keyed = two;
        keyed.hmac = Some(1);
        assert!(!read_of(&keyed).expect("one").is_whole);
        let inline = read_of(&header(Seg6Mode::Inline, &["fd00::2", "::"])).expect("one");
        assert_eq!(inline.words, "encap seg6 mode inline segs fd00::2");
        assert_eq!(inline.to, None);
    }

    #[test]
    fn of_others_the_type_is_named() {
        let mut message = RouteMessage::default();
        assert_eq!(Encapsulation::read(&message), None);
        message.attributes = vec![RouteAttribute::EncapType(RouteLwEnCapType::Mpls)];
        let mpls = Encapsulation::read(&message).expect("one");
        assert_eq!((&*mpls.words, mpls.is_whole), ("encap mpls", false));
    }
}
