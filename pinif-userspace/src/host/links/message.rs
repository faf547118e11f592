//! An interface, read from a message of rtnetlink(7).

use netlink_packet_core::{parse_u16, parse_u32};
use netlink_packet_route::{
    AddressFamily,
    link::{LinkFlags, LinkHeader},
};
use pinif_ebpf::{intent::Name, key::IfIndex};

use super::link::Link;
use crate::host::{
    attributes::{attributes, text, until_zero},
    tunnels::{local::local, signatures::signatures},
};

/// Attributes of `RTM_NEWLINK` (linux/if_link.h).
mod attribute {
    pub const IFNAME: u16 = 3;
    pub const MTU: u16 = 4;
    pub const LINK: u16 = 5;
    pub const MASTER: u16 = 10;
    pub const WIRELESS: u16 = 11;
    pub const LINKINFO: u16 = 18;
    pub const LINK_NETNSID: u16 = 37;
    pub const INFO_KIND: u16 = 1;
    pub const INFO_DATA: u16 = 2;
    pub const VRF_TABLE: u16 = 1;
    pub const VXLAN_LINK: u16 = 3;
    pub const IPVLAN_MODE: u16 = 1;
    /// `IPVLAN_MODE_L2`.
    pub const IPVLAN_MODE_L2: u16 = 0;
    /// Two slaves, and the link to another ring.
    pub const HSR_PORTS: [u16; 3] = [1, 2, 8];
}

/// `struct ifinfomsg`.
const HEADER: usize = 16;

/// Kinds whose `IFLA_LINK` is the other end of a pair, not an interface below.
const PAIRED: [&str; 3] = ["veth", "netkit", "vxcan"];

impl Link {
    /// Reads an `RTM_NEWLINK` or `RTM_DELLINK` message.
    ///
    /// None where it speaks of something else: a bridge's port (`AF_BRIDGE`, sent when it joins and when it leaves) or
    /// a wireless event, which carry the index of an interface and only a part of what is known of it.
    ///
    /// Only the attributes that are used are decoded, so that no attribute of a newer kernel can hide an interface.
    pub(in crate::host) fn decode(message: &[u8]) -> Option<Self> {
        let header = LinkHeader::parse(message).ok()?;
        if header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let index = IfIndex(header.index);
        let mut link = Self::new(index, String::new());
        link.up = header.flags.contains(LinkFlags::Up);
        link.running = header.flags.contains(LinkFlags::Running);
        link.loopback = header.flags.contains(LinkFlags::Loopback);
        let mut elsewhere = false;
        for nla in attributes(message.get(HEADER..)?) {
            let value = nla.value();
            match nla.kind() {
                attribute::IFNAME => {
                    link.name = text(value);
                    link.kernel_name = Name::of(until_zero(value));
                }
                attribute::MTU => link.mtu = parse_u32(value).unwrap_or_default(),
                attribute::MASTER => link.controller = interface(value),
                attribute::LINK => {
                    link.lower = interface(value)
                        .filter(|lower| *lower != index)
                        .or(link.lower);
                }
                attribute::LINK_NETNSID => elsewhere = true,
                attribute::LINKINFO => link.decode_kind(value),
                attribute::WIRELESS => return None,
                _ => {}
            }
        }
        let paired = link
            .kind
            .as_deref()
            .is_some_and(|kind| PAIRED.contains(&kind));
        if elsewhere {
            link.lower = None;
        }
        if paired {
            link.peer = link.lower.take();
        }
        (index.is_some() && !link.name.is_empty()).then_some(link)
    }

    fn decode_kind(&mut self, information: &[u8]) {
        let find = |kind| attributes(information).find(|nla| nla.kind() == kind);
        self.kind = find(attribute::INFO_KIND).map(|nla| text(nla.value()));
        let data = find(attribute::INFO_DATA);
        if let Some(kind) = &self.kind {
            let data = data.as_ref().map(|nla| nla.value());
            self.outer = signatures(kind, data);
            self.local = local(kind, data);
        }
        let Some(data) = data else {
            return;
        };
        let number = |kind| {
            let nla = attributes(data.value()).find(|nla| nla.kind() == kind)?;
            parse_u32(nla.value()).ok()
        };
        match self.kind.as_deref() {
            Some("ipvlan") => {
                let mode =
                    attributes(data.value()).find(|nla| nla.kind() == attribute::IPVLAN_MODE);
                self.routes = mode
                    .and_then(|nla| parse_u16(nla.value()).ok())
                    .is_some_and(|mode| mode != attribute::IPVLAN_MODE_L2);
            }
            Some("vrf") => self.vrf_table = number(attribute::VRF_TABLE),
            // VXLAN has its underlay here only (`vxlan_fill_info`).
            Some("vxlan") => {
                self.lower = number(attribute::VXLAN_LINK)
                    .map(IfIndex)
                    .filter(|index| index.is_some())
            }
            Some("hsr") => {
                let ports = attribute::HSR_PORTS.into_iter().filter_map(number);
                self.ring = ports.map(IfIndex).filter(|port| port.is_some()).collect();
            }
            _ => {}
        }
    }
}

fn interface(value: &[u8]) -> Option<IfIndex> {
    parse_u32(value)
        .ok()
        .map(IfIndex)
        .filter(|index| index.is_some())
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use netlink_packet_route::link::{
        InfoData, InfoKind, InfoVrf, LinkAttribute, LinkInfo, LinkMessage, WirelessEvent,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::host::links::Links;

    fn message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up | LinkFlags::Running;
        message.attributes = attributes;
        message
    }

    fn decode(message: &LinkMessage) -> Option<Link> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        Link::decode(&bytes)
    }

    fn kind(kind: InfoKind) -> LinkAttribute {
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])
    }

    #[test]
    fn what_is_below_is_distinguished_from_what_is_opposite() {
        let name = LinkAttribute::IfName("x".to_owned());
        let lower = |attributes: Vec<LinkAttribute>| {
            let mut all = vec![name.clone(), LinkAttribute::Link(3)];
            all.extend(attributes);
            decode(&message(7, all)).expect("a link").lower
        };
        assert_eq!(lower(vec![kind(InfoKind::Vlan)]), Some(IfIndex(3)));
        for pair in [InfoKind::Veth, InfoKind::Netkit] {
            let all = vec![name.clone(), LinkAttribute::Link(3), kind(pair)];
            let link = decode(&message(7, all)).expect("a link");
            assert_eq!((link.lower, link.peer), (None, Some(IfIndex(3))));
        }
        assert_eq!(
            lower(vec![kind(InfoKind::MacVlan), LinkAttribute::LinkNetNsId(0)]),
            None,
            "in another namespace"
        );
        let itself =
            decode(&message(3, vec![name.clone(), LinkAttribute::Link(3)])).expect("a link");
        assert_eq!(itself.lower, None, "itself");
        let nothing = decode(&message(3, vec![name, LinkAttribute::Link(0)])).expect("a link");
        assert_eq!(nothing.lower, None, "a tunnel without underlay");
    }

    #[test]
    fn a_vrf_has_its_table() {
        let link = decode(&message(
            9,
            vec![
                LinkAttribute::IfName("blue".to_owned()),
                LinkAttribute::Mtu(65575),
                LinkAttribute::LinkInfo(vec![
                    LinkInfo::Kind(InfoKind::Vrf),
                    LinkInfo::Data(InfoData::Vrf(vec![InfoVrf::TableId(10)])),
                ]),
            ],
        ))
        .expect("a link");
        let expected = Link {
            kind: Some("vrf".to_owned()),
            up: true,
            running: true,
            mtu: 65575,
            vrf_table: Some(10),
            ..Link::new(IfIndex(9), "blue")
        };
        assert_eq!(link, expected);
        let links = Links::from_iter([link]);
        assert_eq!(links.vrf(10).map(|link| link.name.as_str()), Some("blue"));
        assert_eq!(links.vrf(11), None);
    }

    #[test]
    fn a_bridge_port_and_a_wireless_event_are_no_news_of_the_interface() {
        let name = LinkAttribute::IfName("eth0".to_owned());
        let mut port = message(3, vec![name.clone()]);
        assert_eq!(decode(&port).map(|link| link.name).as_deref(), Some("eth0"));
        port.header.interface_family = AddressFamily::Bridge;
        assert_eq!(decode(&port), None);
        let event = LinkAttribute::Wireless(WirelessEvent::Other(vec![0; 8]));
        assert_eq!(decode(&message(3, vec![name, event])), None);
        assert_eq!(decode(&message(3, vec![])), None, "no name");
        assert_eq!(
            decode(&message(0, vec![LinkAttribute::IfName("x".to_owned())])),
            None,
            "no index"
        );
    }

    #[test]
    fn no_name_hides_an_interface() {
        let mut bytes = vec![0; HEADER];
        message(3, Vec::new()).header.emit(&mut bytes);
        // IFLA_IFNAME of four bytes, of which two are no UTF-8.
        bytes.extend([8, 0, 3, 0, b'e', 0xff, 0xfe, 0]);
        let link = Link::decode(&bytes).expect("a link");
        assert_eq!(
            (link.index, link.name.as_str()),
            (IfIndex(3), "e\u{fffd}\u{fffd}")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Link::decode(&bytes);
        }
    }
}
