//! Tunnels: the headers that their outer packets have.

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_core::{NlaBuffer, parse_u16, parse_u16_be};
use pinif_ebpf::{
    key::IfIndex,
    tunnel::{Signature, flags},
};

use super::{
    links::{Link, Links, attributes},
    lower_devices::lower_devices,
};

/// Attributes of tunnels (linux/if_link.h, linux/if_tunnel.h).
mod attribute {
    pub const VXLAN_PORT: u16 = 15;
    pub const GENEVE_PORT: u16 = 5;
    pub const BAREUDP_PORT: u16 = 1;
    pub const AMT_RELAY_PORT: u16 = 2;
    pub const AMT_GATEWAY_PORT: u16 = 3;
    /// Of GRE and what is built like it, and of IPIP, SIT and IPv6 tunnels: the kind of UDP header, and its port.
    pub const GRE_ENCAP: (u16, u16) = (14, 17);
    pub const IPTUN_ENCAP: (u16, u16) = (15, 18);
}

/// IP protocols of tunnels (IANA).
mod protocol {
    pub const IPIP: u8 = 4;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const IPCOMP: u8 = 108;
    pub const L2TP: u8 = 115;
    pub const MPLS: u8 = 137;
}

/// `ETH_P_PPP_SES`.
const PPPOE: u16 = 0x8864;
/// GTP's two (3GPP TS 29.060, 29.281), which the kernel's device has no attribute for.
const GTP: [u16; 2] = [2152, 3386];
/// IPsec behind NAT (RFC 3948).
const IPSEC_NAT: u16 = 4500;

/// The headers by which the outer packets of a link are told: none, if it is no tunnel. `data` is its `IFLA_INFO_DATA`.
///
/// WireGuard's are not among them, since its port is told elsewhere ([`wireguard`]).
pub(super) fn signatures(kind: &str, data: Option<&[u8]>) -> BTreeSet<Signature> {
    let find = |kind| attributes(data?).find(|nla: &NlaBuffer<&[u8]>| nla.kind() == kind);
    let port = |kind| parse_u16_be(find(kind)?.value()).ok();
    let udp_to = |ports: &[Option<u16>]| {
        let ports = ports.iter().flatten().filter(|port| **port != 0);
        let mut signatures: BTreeSet<_> = ports.map(|port| Signature::udp_to(*port)).collect();
        if !signatures.is_empty() {
            signatures.insert(Signature::UDP_FRAGMENT);
        }
        signatures
    };
    // FOU and GUE (`TUNNEL_ENCAP_FOU`, …): the header comes in a UDP one.
    let of_protocols = |protocols: &[u8], (encapsulation, to): (u16, u16)| {
        let is_in_udp = find(encapsulation)
            .and_then(|nla| parse_u16(nla.value()).ok())
            .is_some_and(|kind| kind != 0);
        if is_in_udp {
            udp_to(&[port(to)])
        } else {
            protocols
                .iter()
                .map(|number| Signature::protocol(*number))
                .collect()
        }
    };
    match kind {
        "vxlan" => udp_to(&[port(attribute::VXLAN_PORT)]),
        "geneve" => udp_to(&[port(attribute::GENEVE_PORT)]),
        "bareudp" => udp_to(&[port(attribute::BAREUDP_PORT)]),
        "amt" => udp_to(&[
            port(attribute::AMT_RELAY_PORT),
            port(attribute::AMT_GATEWAY_PORT),
        ]),
        "gtp" => udp_to(&GTP.map(Some)),
        "gre" | "gretap" | "erspan" | "ip6gre" | "ip6gretap" | "ip6erspan" => {
            of_protocols(&[protocol::GRE], attribute::GRE_ENCAP)
        }
        "ipip" | "sit" | "ip6tnl" => of_protocols(
            &[protocol::IPIP, protocol::IPV6, protocol::MPLS],
            attribute::IPTUN_ENCAP,
        ),
        "xfrm" | "vti" | "vti6" => {
            let protocols = [protocol::ESP, protocol::AH, protocol::IPCOMP];
            let mut signatures: BTreeSet<_> = protocols.map(Signature::protocol).into();
            signatures.extend(udp_to(&[Some(IPSEC_NAT)]));
            signatures
        }
        "l2tp" => [Signature::protocol(protocol::L2TP)].into(),
        // Over Ethernet, or over GRE (PPTP).
        "ppp" => [
            Signature::ethertype(PPPOE),
            Signature::protocol(protocol::GRE),
        ]
        .into(),
        _ => BTreeSet::new(),
    }
}

/// The headers of a WireGuard interface that listens on this port.
pub(super) fn wireguard(port: u16) -> BTreeSet<Signature> {
    if port == 0 {
        return BTreeSet::new();
    }
    [Signature::udp_from(port), Signature::UDP_FRAGMENT].into()
}

/// What is said of outer packets: by their header, and by who may have sent what is in them. That is a tunnel or whatever
/// it carries, or [`IfIndex::NONE`] for any. `audited` says which tunnels' packets are counted on these.
pub fn outer(
    links: &Links,
    audited: impl Fn(IfIndex) -> bool,
) -> BTreeMap<(IfIndex, Signature), u32> {
    let mut above: BTreeMap<IfIndex, Vec<IfIndex>> = BTreeMap::new();
    for (upper, lower) in lower_devices(links) {
        above.entry(lower).or_default().push(upper);
    }
    let whole = |tunnel: &Link| {
        let carried = above.get(&tunnel.index).into_iter().flatten().copied();
        std::iter::once(tunnel.index)
            .chain(carried)
            .collect::<Vec<_>>()
    };
    // A tunnel's outer packets may be routed into another tunnel, unless it names its interface. What it has counted stays
    // counted there.
    let mut routed: BTreeMap<IfIndex, u32> = BTreeMap::new();
    for tunnel in links.iter() {
        if !tunnel.outer.is_empty() && tunnel.lower.is_none() {
            let counted = said_of(tunnel, &audited) & flags::COUNTED;
            for upper in whole(tunnel) {
                *routed.entry(upper).or_default() |= counted;
            }
        }
    }
    let mut all = BTreeMap::new();
    for tunnel in links.iter() {
        let said = said_of(tunnel, &audited);
        let mut uppers: BTreeMap<IfIndex, u32> = routed
            .iter()
            .map(|(&upper, &counted)| (upper, said | counted))
            .collect();
        uppers.insert(IfIndex::NONE, said);
        uppers.extend(whole(tunnel).into_iter().map(|upper| (upper, said)));
        for &signature in &tunnel.outer {
            for (&upper, &said) in &uppers {
                all.entry((upper, signature))
                    .and_modify(|others| *others = both(*others, said))
                    .or_insert(said);
            }
        }
    }
    all
}

fn said_of(tunnel: &Link, audited: impl Fn(IfIndex) -> bool) -> u32 {
    let mut said = flags::OUTER;
    if audited(tunnel.index) {
        said |= flags::COUNTED;
    }
    if is_wireguard(tunnel) {
        said |= flags::TALKS;
    }
    said
}

/// What holds of the packets of either of two tunnels.
const fn both(one: u32, other: u32) -> u32 {
    let counted = one & other & flags::COUNTED;
    (one | other) & !flags::COUNTED | counted
}

pub(super) fn is_wireguard(link: &Link) -> bool {
    link.kind.as_deref() == Some("wireguard")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attribute in the machine's byte order.
    fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn set<const N: usize>(signatures: [Signature; N]) -> BTreeSet<Signature> {
        signatures.into()
    }

    #[test]
    fn a_tunnel_tells_its_ports() {
        let data = [nla(3, &[0; 4]), nla(15, &4789_u16.to_be_bytes())].concat();
        assert_eq!(
            signatures("vxlan", Some(&data)),
            set([Signature::udp_to(4789), Signature::UDP_FRAGMENT])
        );
        assert_eq!(signatures("vxlan", None), BTreeSet::new());
        assert_eq!(signatures("geneve", Some(&data)), BTreeSet::new());
        assert_eq!(signatures("veth", Some(&data)), BTreeSet::new());
    }

    #[test]
    fn a_tunnel_in_udp_is_told_by_that() {
        let plain = nla(15, &[0, 0]);
        let ipip = signatures("ipip", Some(&plain));
        assert_eq!(ipip, set([4, 41, 137].map(Signature::protocol)));
        let fou = [nla(15, &[1, 0]), nla(18, &5555_u16.to_be_bytes())].concat();
        assert_eq!(
            signatures("ipip", Some(&fou)),
            set([Signature::udp_to(5555), Signature::UDP_FRAGMENT])
        );
        assert_eq!(
            signatures("gre", Some(&fou)),
            set([Signature::protocol(47)]),
            "numbers of another kind"
        );
    }

    fn tunnel(index: u32, signature: Signature) -> Link {
        Link {
            outer: set([signature]),
            ..Link::new(IfIndex(index), format!("tunnel{index}"))
        }
    }

    #[test]
    fn what_a_tunnel_carries_may_be_in_its_packets() {
        let gre = Signature::protocol(47);
        let vlan = Link {
            lower: Some(IfIndex(5)),
            ..Link::new(IfIndex(6), "vlan")
        };
        let links = Links::from_iter([tunnel(5, gre), vlan, Link::new(IfIndex(7), "eth0")]);
        let told = outer(&links, |_| false);
        let expected = [0, 5, 6].map(|upper| ((IfIndex(upper), gre), flags::OUTER));
        assert_eq!(told, expected.into());
    }

    #[test]
    fn a_tunnel_may_lead_into_another() {
        let (gre, vxlan) = (Signature::protocol(47), Signature::udp_to(4789));
        let fixed = Link {
            lower: Some(IfIndex(9)),
            ..tunnel(7, vxlan)
        };
        let links = Links::from_iter([tunnel(5, gre), tunnel(6, vxlan), fixed]);
        let told = outer(&links, |_| false);
        let leads = |upper, signature| told.contains_key(&(IfIndex(upper), signature));
        assert!(leads(6, gre), "VXLAN over GRE");
        assert!(leads(5, vxlan), "GRE over VXLAN");
        assert!(!leads(7, gre), "what names its interface leaves by that");
    }

    #[test]
    fn of_two_tunnels_with_one_header_both_must_be_audited() {
        let gre = Signature::protocol(47);
        let links = Links::from_iter([tunnel(5, gre), tunnel(6, gre)]);
        let counted = flags::OUTER | flags::COUNTED;
        assert_eq!(outer(&links, |_| true)[&(IfIndex::NONE, gre)], counted);
        let one = outer(&links, |index| index == IfIndex(5));
        assert_eq!(one[&(IfIndex::NONE, gre)], flags::OUTER);
        assert_eq!(one[&(IfIndex(5), gre)], counted);
    }
}
