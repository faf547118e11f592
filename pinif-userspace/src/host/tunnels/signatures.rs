//! The headers by which a tunnel's outer packets are recognised.

use std::collections::BTreeSet;

use netlink_packet_core::{NlaBuffer, parse_u16, parse_u16_be};
use pinif_ebpf::tunnel::Signature;

use crate::host::attributes::attributes;

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

/// The headers by which the outer packets of a link are recognised: none, if it is no tunnel. `data` is its
/// `IFLA_INFO_DATA`.
///
/// WireGuard's are not among them, since its port is not in this message ([`wireguard`]).
pub(in crate::host) fn signatures(kind: &str, data: Option<&[u8]>) -> BTreeSet<Signature> {
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
pub(in crate::host) fn wireguard(port: u16) -> BTreeSet<Signature> {
    if port == 0 {
        return BTreeSet::new();
    }
    [Signature::udp_from(port), Signature::UDP_FRAGMENT].into()
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
    fn a_tunnel_has_its_ports() {
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
    fn a_tunnel_in_udp_is_recognised_by_that() {
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
}
