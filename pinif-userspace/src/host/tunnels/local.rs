//! The address that a tunnel's outer packets have, where its settings say so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host::attributes::attributes;

/// The attributes that have it (linux/if_link.h, linux/if_tunnel.h), of the kinds that have such a setting.
fn attributes_of(kind: &str) -> &'static [u16] {
    match kind {
        // `IFLA_VXLAN_LOCAL`, `IFLA_VXLAN_LOCAL6`.
        "vxlan" => &[4, 17],
        // `IFLA_GRE_LOCAL`.
        "gre" | "gretap" | "erspan" | "ip6gre" | "ip6gretap" | "ip6erspan" => &[6],
        // `IFLA_IPTUN_LOCAL`.
        "ipip" | "sit" | "ip6tnl" => &[2],
        // `IFLA_VTI_LOCAL`.
        "vti" | "vti6" => &[4],
        _ => &[],
    }
}

/// The local address of a tunnel; none where a route gives its packets their source. `data` is its `IFLA_INFO_DATA`.
pub(in crate::host) fn local(kind: &str, data: Option<&[u8]>) -> Option<IpAddr> {
    let wanted = attributes_of(kind);
    attributes(data?)
        .filter(|nla| wanted.contains(&nla.kind()))
        .find_map(|nla| {
            let value = nla.value();
            let v4 = || Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into());
            let v6 = || Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into());
            v4().or_else(v6)
        })
        .filter(|address: &IpAddr| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attribute in the machine's byte order.
    fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = 4 + value.len() as u16;
        [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat()
    }

    #[test]
    fn the_local_address_of_a_tunnel_is_read() {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let data = [nla(2, &[10, 0, 0, 9]), nla(4, &[10, 0, 0, 1])].concat();
        let of_v6 = nla(17, &v6.octets());
        assert_eq!(local("vxlan", Some(&data)), Some([10, 0, 0, 1].into()));
        assert_eq!(local("ipip", Some(&data)), Some([10, 0, 0, 9].into()));
        assert_eq!(local("vxlan", Some(&of_v6)), Some(v6.into()));
        assert_eq!(local("gre", Some(&nla(6, &[0; 4]))), None, "it has none");
        assert_eq!(local("geneve", Some(&data)), None);
        assert_eq!(local("vxlan", None), None);
    }
}
