//! What a route puts its packets into before they leave: `encap` of `ip route`, the kernel's lightweight tunnels (`lwtunnel_output`).

use std::net::Ipv6Addr;

use netlink_packet_route::route::{
    Ioam6Mode, RouteAttribute, RouteIoam6Tunnel, RouteLwEnCapType, RouteLwTunnelEncap,
    RouteRplIpTunnel, RouteSeg6IpTunnel, Seg6Mode,
};

/// What a route does to its packets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Encapsulation {
    /// As `ip route` takes it, such as `encap seg6 mode encap segs fd00::2`; the type alone where the rest is not read.
    pub words: String,
    /// The words are all of it.
    pub is_whole: bool,
    /// Where its packets go, whatever their own destination is: the first segment of a list (RFC 8986, 5; RFC 6554), or the end of a tunnel; none
    /// where that is not read, or they go where they went.
    pub to: Option<Ipv6Addr>,
    /// What is put into a packet is a frame, and no packet (`l2encap`).
    pub of_frames: bool,
    /// Where the source comes from that its packets have then.
    pub source: EncapsulatedSource,
}

/// Where the source of an encapsulated packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncapsulatedSource {
    /// The packet keeps its own: a header is put into it, and no other around it.
    Packet,
    /// It is the route's (`tunsrc`).
    Route,
    /// It is one of the route's interface (`ipv6_dev_get_saddr`).
    Interface,
    /// The same, where no setting has one for all (`ip sr tunsrc`, `set_tun_src`).
    InterfaceOrSetting,
}

impl Encapsulation {
    /// What the attributes of a route, or of one of its next hops, say of it; none of those that leave their packets as they are.
    pub(super) fn read(of_route: &[RouteAttribute]) -> Option<Self> {
        let mut attributes = of_route.iter();
        let kind = attributes.find_map(|attribute| match attribute {
            RouteAttribute::EncapType(kind) if *kind != RouteLwEnCapType::None => Some(*kind),
            _ => None,
        })?;
        let mut attributes = of_route.iter();
        let parts = attributes.find_map(|attribute| match attribute {
            RouteAttribute::Encap(parts) => Some(&parts[..]),
            _ => None,
        });
        let parts = parts.unwrap_or_default();
        let known = segments(parts).or_else(|| source_routed(parts));
        Some(known.unwrap_or_else(|| {
            let (to, source) = traced(parts);
            Self {
                words: format!("encap {kind}"),
                is_whole: false,
                to,
                of_frames: false,
                source,
            }
        }))
    }

    /// Whether its packets keep their own source: a header is put into them, by which they go elsewhere.
    pub fn keeps_source(&self) -> bool {
        self.source == EncapsulatedSource::Packet
    }
}

/// A list of segments of RPL, which is put into a packet (`rpl_do_srh_inline`).
fn source_routed(parts: &[RouteLwTunnelEncap]) -> Option<Encapsulation> {
    let header = parts.iter().find_map(|part| match part {
        RouteLwTunnelEncap::Rpl(RouteRplIpTunnel::Srh(header)) => Some(header),
        _ => None,
    })?;
    let written: Vec<String> = header.segments.iter().map(Ipv6Addr::to_string).collect();
    Some(Encapsulation {
        words: format!("encap rpl segs {}", written.join(",")),
        is_whole: parts.len() == 1,
        to: header.segments.first().copied(),
        of_frames: false,
        source: EncapsulatedSource::Packet,
    })
}

/// Where packets go that a route traces (IOAM, RFC 9486), and whose source they have: those that get a header alone go where they went
/// (`ioam6_output`).
fn traced(parts: &[RouteLwTunnelEncap]) -> (Option<Ipv6Addr>, EncapsulatedSource) {
    let (mut to, mut source) = (None, EncapsulatedSource::Interface);
    for part in parts {
        match part {
            RouteLwTunnelEncap::Ioam6(RouteIoam6Tunnel::Mode(Ioam6Mode::Inline)) => {
                return (None, EncapsulatedSource::Packet);
            }
            RouteLwTunnelEncap::Ioam6(RouteIoam6Tunnel::Dst(end)) => to = Some(*end),
            RouteLwTunnelEncap::Ioam6(RouteIoam6Tunnel::Src(_)) => {
                source = EncapsulatedSource::Route;
            }
            _ => {}
        }
    }
    (to, source)
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
    let has_source = |part: &RouteLwTunnelEncap| {
        matches!(part, RouteLwTunnelEncap::Seg6(RouteSeg6IpTunnel::Src(_)))
    };
    // The last one is the packet's own destination, which nobody wrote.
    let written = header.segments.iter().filter(|one| !one.is_unspecified());
    let written: Vec<String> = written.map(Ipv6Addr::to_string).collect();
    Some(Encapsulation {
        words: format!("encap seg6 mode {mode} segs {}", written.join(",")),
        is_whole: parts.len() == 1 && header.hmac.is_none(),
        to: header.segments.first().copied(),
        of_frames: mode.starts_with("l2"),
        source: match header.mode {
            Seg6Mode::Inline => EncapsulatedSource::Packet,
            _ if parts.iter().any(has_source) => EncapsulatedSource::Route,
            _ => EncapsulatedSource::InterfaceOrSetting,
        },
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::{RplSrh, Seg6Header};

    use super::*;

    fn read(parts: Vec<RouteSeg6IpTunnel>) -> Option<Encapsulation> {
        let parts = parts.into_iter().map(RouteLwTunnelEncap::Seg6).collect();
        read_of(RouteLwEnCapType::Seg6, parts)
    }

    fn read_of(kind: RouteLwEnCapType, parts: Vec<RouteLwTunnelEncap>) -> Option<Encapsulation> {
        let attributes = [
            RouteAttribute::Encap(parts),
            RouteAttribute::EncapType(kind),
        ];
        Encapsulation::read(&attributes)
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
            of_frames: false,
            source: EncapsulatedSource::InterfaceOrSetting,
        };
        let read_of = |header: &Seg6Header| read(vec![RouteSeg6IpTunnel::Seg6(header.clone())]);
        assert_eq!(read_of(&two), Some(one.clone()));
        let source = RouteSeg6IpTunnel::Src("fd00::1".parse().expect("an address"));
        let more = read(vec![RouteSeg6IpTunnel::Seg6(two.clone()), source]);
        let more = more.expect("one");
        assert!(!more.is_whole);
        assert_eq!(more.source, EncapsulatedSource::Route);
        let mut keyed = two;
        keyed.hmac = Some(1);
        assert!(!read_of(&keyed).expect("one").is_whole);
        let inline = read_of(&header(Seg6Mode::Inline, &["fd00::2", "::"])).expect("one");
        assert_eq!(inline.words, "encap seg6 mode inline segs fd00::2");
        assert_eq!(inline.to, one.to);
        assert!(inline.keeps_source());
        let frames = read_of(&header(Seg6Mode::Other(2), &["fd00::2"])).expect("one");
        assert!(frames.of_frames && !frames.keeps_source());
    }

    #[test]
    fn what_a_header_leads_elsewhere_keeps_its_source() {
        let mut header = RplSrh::default();
        let segments = ["fd00::2", "fd00::3"].map(|one| one.parse().expect("an address"));
        header.segments = segments.to_vec();
        let part = RouteLwTunnelEncap::Rpl(RouteRplIpTunnel::Srh(header));
        let rpl = read_of(RouteLwEnCapType::Rpl, vec![part]).expect("one");
        assert_eq!(rpl.words, "encap rpl segs fd00::2,fd00::3");
        assert_eq!(rpl.to, Some(segments[0]));
        assert!(rpl.keeps_source() && rpl.is_whole);
    }

    #[test]
    fn what_is_traced_goes_to_the_end_of_its_tunnel() {
        let traced = |parts: Vec<RouteIoam6Tunnel>| {
            let parts = parts.into_iter().map(RouteLwTunnelEncap::Ioam6).collect();
            read_of(RouteLwEnCapType::Ioam6, parts).expect("one")
        };
        let end = "fd00::2".parse().expect("an address");
        let in_tunnel = vec![
            RouteIoam6Tunnel::Mode(Ioam6Mode::Encap),
            RouteIoam6Tunnel::Dst(end),
        ];
        let one = traced(in_tunnel.clone());
        assert_eq!((&*one.words, one.is_whole), ("encap ioam6", false));
        assert_eq!(
            (one.to, one.source),
            (Some(end), EncapsulatedSource::Interface)
        );
        let own = [in_tunnel, vec![RouteIoam6Tunnel::Src(end)]].concat();
        assert_eq!(traced(own).source, EncapsulatedSource::Route);
        let inline = traced(vec![RouteIoam6Tunnel::Mode(Ioam6Mode::Inline)]);
        assert_eq!((inline.to, inline.keeps_source()), (None, true));
    }

    #[test]
    fn of_others_the_type_is_named() {
        assert_eq!(Encapsulation::read(&[]), None);
        let mpls = [RouteAttribute::EncapType(RouteLwEnCapType::Mpls)];
        let mpls = Encapsulation::read(&mpls).expect("one");
        assert_eq!((&*mpls.words, mpls.is_whole), ("encap mpls", false));
    }
}
