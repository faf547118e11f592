//! What a cgroup is to be pinned to, and what that means while the links are as they are.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use pinif_ebpf::{
    intent::{NAME_LENGTH, Name},
    key::IfIndex,
    pin::{Pin, flag},
};

use crate::{
    host::{
        links::{Link, Links},
        netns::NetNs,
        network::Network,
    },
    kernel::pins::{Aim, InterfaceSet},
    text::{escape::visible, words::those_there},
};

/// What a cgroup is to be pinned to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The namespace.
    pub netns: NetNs,
    /// The interface's name, which is followed.
    pub interface: String,
    /// Whether processes may bind their sockets to another device.
    pub allow_rebind: bool,
}

impl Target {
    /// The pin as its programs have it, while the links are as they are.
    ///
    /// # Errors
    ///
    /// When there is no such interface; the error names those that there are.
    pub fn pin(&self, links: &Links) -> Result<Pin> {
        let interface = self.index(links);
        if !interface.is_some() {
            let mut known: Vec<_> = links.iter().map(|link| visible(&link.name)).collect();
            known.sort_unstable();
            bail!(
                "there is no interface {} in the network namespace {}; those that there are: {}",
                visible(&self.interface),
                visible(&self.netns.name),
                those_there(&known)
            );
        }
        Ok(Pin {
            netns: self.netns.cookie,
            interface,
            flags: if self.allow_rebind {
                flag::ALLOW_REBIND
            } else {
                0
            },
            name: name(&self.interface).context("an interface's name has 15 bytes at most")?,
            ..Pin::default()
        })
    }

    /// The index that the name has now; none while no interface has it.
    fn index(&self, links: &Links) -> IfIndex {
        links
            .by_name(&self.interface)
            .map_or(IfIndex::NONE, |link| link.index)
    }

    /// Where the pin points while the network is as it is.
    pub fn aim(&self, network: &Network) -> Aim {
        let interface = self.index(&network.links);
        let addresses = network.addresses.of(interface);
        let mut ipv4 = addresses.filter_map(|local| match local.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        Aim {
            interface,
            address: ipv4.next(),
            interfaces: self.egress_interfaces(&network.links),
        }
    }

    /// The interfaces by which packets may leave: the device, those that a VRF routes into, what an IPsec interface
    /// encrypts to, since their packets pass `ip_finish_output` once more with their socket; and loopback, or the VRF that
    /// the device is in, which leads to the host's own addresses. What a VRF sends on passes once more, too.
    ///
    /// An IPsec interface that names none encrypts to wherever a route leads its outer packets: all of them, for what is encrypted.
    ///
    /// Not its other lower devices: a VLAN's packets reach the trunk only after they are tagged.
    fn egress_interfaces(&self, links: &Links) -> InterfaceSet {
        let device = links.by_name(&self.interface);
        let is_ipsec =
            |device: &Link| matches!(device.kind.as_deref(), Some("xfrm" | "vti" | "vti6"));
        let to_any = device.filter(|device| is_ipsec(device) && device.lower.is_none());
        let to_any = to_any.and_then(|device| Some((IfIndex::NONE, name(&device.name)?)));
        let is_allowed = |index: IfIndex| {
            device.is_some_and(|device| {
                let routed = device.vrf_table.is_some()
                    && links.get(index).and_then(|link| link.controller) == Some(device.index);
                let encrypted = is_ipsec(device) && device.lower == Some(index);
                let is_its_vrf = device.controller == Some(index)
                    && links
                        .get(index)
                        .is_some_and(|link| link.vrf_table.is_some());
                index == device.index || routed || encrypted || is_its_vrf
            })
        };
        links
            .iter()
            .filter(|link| link.loopback || is_allowed(link.index))
            .filter_map(|link| Some((link.index, name(&link.name)?)))
            .chain(to_any)
            .collect()
    }
}

/// A name as the kernel has it; none of one that is too long.
fn name(text: &str) -> Option<Name> {
    let mut bytes = [0; NAME_LENGTH];
    if text.len() >= NAME_LENGTH {
        return None;
    }
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    Some(Name(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(interface: &str) -> Target {
        Target {
            netns: NetNs::current().expect("a namespace"),
            interface: interface.to_owned(),
            allow_rebind: false,
        }
    }

    fn links() -> Links {
        let lo = Link {
            loopback: true,
            ..Link::new(IfIndex(1), "lo")
        };
        let vrf = Link {
            vrf_table: Some(10),
            ..Link::new(IfIndex(9), "blue")
        };
        let member = Link {
            controller: Some(IfIndex(9)),
            ..Link::new(IfIndex(3), "fab0")
        };
        let vlan = Link {
            lower: Some(IfIndex(4)),
            kind: Some("vlan".to_owned()),
            ..Link::new(IfIndex(5), "eth1.7")
        };
        let xfrm = Link {
            lower: Some(IfIndex(4)),
            kind: Some("xfrm".to_owned()),
            ..Link::new(IfIndex(6), "ipsec0")
        };
        let routed = Link {
            kind: xfrm.kind.clone(),
            ..Link::new(IfIndex(7), "ipsec1")
        };
        let eth1 = Link::new(IfIndex(4), "eth1");
        Links::from_iter([lo, vrf, member, eth1, vlan, xfrm, routed])
    }

    #[test]
    fn packets_leave_by_the_device_and_by_what_routes_or_encrypts_for_it() {
        let allowed = |interface| {
            let interfaces = target(interface).egress_interfaces(&links());
            interfaces
                .into_keys()
                .map(|index| index.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            allowed("fab0"),
            [1, 3, 9],
            "the VRF leads to the host itself"
        );
        assert_eq!(allowed("blue"), [1, 3, 9]);
        assert_eq!(allowed("eth1.7"), [1, 5], "not untagged by the trunk");
        assert_eq!(allowed("ipsec0"), [1, 4, 6]);
        assert_eq!(
            allowed("ipsec1"),
            [0, 1, 7],
            "what it encrypts leaves by any"
        );
        assert_eq!(allowed("gone"), [1]);
    }

    #[test]
    fn an_unknown_interface_is_reported_with_those_that_there_are() {
        let error = target("fab9").pin(&links()).expect_err("there is none");
        let text = error.to_string();
        assert!(text.starts_with("there is no interface fab9 in"), "{text}");
        assert!(
            text.ends_with("those that there are: blue, eth1, eth1.7, fab0, ipsec0, ipsec1, lo"),
            "{text}"
        );
    }

    #[test]
    fn a_name_keeps_its_ending_zero() {
        assert_eq!(name("fab0").expect("short").0[..5], *b"fab0\0");
        assert_eq!(name("a23456789012345").expect("it fits").0[15], 0);
        assert_eq!(name("a234567890123456"), None);
    }
}
