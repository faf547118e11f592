//! XDP programs on interfaces: they may send what arrives back (`XDP_TX`), or by another interface (`XDP_REDIRECT`), and
//! neither passes TC egress.

use std::{io, ops::ControlFlow};

use aya::maps::{MapInfo, MapType};
use netlink_packet_core::{NlaBuffer, NlasIterator, parse_u32};
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkHeader, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use pinif_ebpf::key::IfIndex;

use crate::host::{netlink::Requester, netns::NetNs};

/// `struct ifinfomsg`.
const HEADER: usize = 16;
/// Attributes of `RTM_NEWLINK` (linux/if_link.h).
const IFLA_XDP: u16 = 43;
const IFLA_XDP_PROG_ID: u16 = 4;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
const IFLA_XDP_HW_PROG_ID: u16 = 7;

/// An XDP program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The interface.
    pub interface: IfIndex,
    /// The program's number.
    pub id: u32,
    /// Its name: untrusted; empty where it has none, or may not be looked at.
    pub name: String,
    /// Whether it has a map of devices (`BPF_MAP_TYPE_DEVMAP`), which is there to send by them.
    pub sends: bool,
}

/// The XDP programs of a namespace's interfaces.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses netlink.
pub fn programs(netns: &NetNs) -> io::Result<Vec<Program>> {
    let found = netns.run(|| {
        let mut question = LinkMessage::default();
        question
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let mut found = Vec::new();
        Requester::open(NETLINK_ROUTE)?.dump(libc::RTM_GETLINK, &question, |_, payload| {
            found.extend(decode(payload));
            ControlFlow::Continue(())
        })?;
        Ok::<_, io::Error>(found)
    })??;
    let programs = found.into_iter().map(|(interface, id)| {
        let (name, sends) = describe(id).unwrap_or_default();
        Program {
            interface,
            id,
            name,
            sends,
        }
    });
    Ok(programs.collect())
}

/// An interface, and the number of its program, if it has one.
fn decode(message: &[u8]) -> Option<(IfIndex, u32)> {
    let index = LinkHeader::parse(message).ok()?.index;
    let attributes = |bytes| NlasIterator::new(bytes).map_while(Result::ok);
    let xdp = attributes(message.get(HEADER..)?).find(|nla| nla.kind() == IFLA_XDP)?;
    let ids = [
        IFLA_XDP_PROG_ID,
        IFLA_XDP_DRV_PROG_ID,
        IFLA_XDP_SKB_PROG_ID,
        IFLA_XDP_HW_PROG_ID,
    ];
    let id = |nla: NlaBuffer<&[u8]>| {
        let id = parse_u32(nla.value()).ok().filter(|id| *id != 0);
        ids.contains(&nla.kind()).then_some(id).flatten()
    };
    let id = attributes(xdp.value()).find_map(id)?;
    Some((IfIndex(index), id))
}

/// A program's name, and whether it has a map of devices.
fn describe(id: u32) -> Option<(String, bool)> {
    let mut programs = aya::programs::loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id)?;
    let maps = program.map_ids().ok().flatten().unwrap_or_default();
    let of_devices = |id: &u32| {
        let kind = MapInfo::from_id(*id).and_then(|map| map.map_type());
        matches!(kind, Ok(MapType::DevMap | MapType::DevMapHash))
    };
    let name = program.name_as_str().unwrap_or_default().to_owned();
    Some((name, maps.iter().any(of_devices)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(nested: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[4..8].copy_from_slice(&3u32.to_ne_bytes());
        bytes.extend(((nested.len() + 4) as u16).to_ne_bytes());
        bytes.extend((IFLA_XDP | 0x8000).to_ne_bytes());
        bytes.extend(nested);
        bytes
    }

    #[test]
    fn an_interface_with_a_program_is_told_from_one_without() {
        // IFLA_XDP_ATTACHED: none.
        let none = [5, 0, 2, 0, 0, 0, 0, 0];
        assert_eq!(decode(&message(&none)), None);
        // IFLA_XDP_ATTACHED: in the driver; IFLA_XDP_PROG_ID 42.
        let mut some = vec![5, 0, 2, 0, 1, 0, 0, 0, 8, 0, 4, 0];
        some.extend(42u32.to_ne_bytes());
        assert_eq!(decode(&message(&some)), Some((IfIndex(3), 42)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
