//! XDP programs on interfaces: they may send what arrives back (`XDP_TX`), or by another interface (`XDP_REDIRECT`), and
//! neither passes TC egress.

use std::io;

use aya::{
    maps::{MapError, MapInfo, MapType},
    programs::{ProgramError, ProgramInfo, loaded_programs},
};
use netlink_packet_core::{NlaBuffer, NlasIterator, parse_u32};
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkHeader, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use pinif_ebpf::key::IfIndex;

use super::found::Found;
use crate::host::{listing::list, netns::NetNs};

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
    /// Its name: untrusted; empty where it has none.
    pub name: String,
    /// Whether it has a map of devices (`BPF_MAP_TYPE_DEVMAP`), which is there to send by them.
    pub sends: bool,
}

/// The XDP programs of a namespace's interfaces.
pub fn programs(netns: &NetNs) -> Found<Program> {
    match netns.run(attached).and_then(|attached| attached) {
        Ok(attached) => attached
            .into_iter()
            .filter_map(|(interface, id)| describe(interface, id).transpose())
            .collect(),
        Err(error) => vec![Err(error)],
    }
}

/// The interfaces of the calling thread's namespace that have a program, and its number.
fn attached() -> io::Result<Vec<(IfIndex, u32)>> {
    let mut question = LinkMessage::default();
    question
        .attributes
        .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let listed = list(NETLINK_ROUTE, libc::RTM_GETLINK, &question, |_, payload| {
        decode(payload)
    })?;
    // An interface that came or went is looked at once it is reported.
    Ok(listed.what_there_is())
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

/// What a program is; none, if it is gone by now.
fn describe(interface: IfIndex, id: u32) -> io::Result<Option<Program>> {
    let unknown =
        |error: String| io::Error::other(format!("XDP program {id} cannot be looked at: {error}"));
    let Some(program) =
        program_with(id, loaded_programs()).map_err(|error| unknown(error.to_string()))?
    else {
        return Ok(None);
    };
    let maps = program
        .map_ids()
        .map_err(|error| unknown(error.to_string()))?;
    let mut sends = false;
    for map in maps.unwrap_or_default() {
        sends |= holds_devices(map).map_err(|error| unknown(error.to_string()))?;
    }
    Ok(Some(Program {
        interface,
        id,
        name: program.name_as_str().unwrap_or_default().to_owned(),
        sends,
    }))
}

/// The program with this number among those that there are. Others may go meanwhile.
fn program_with(
    id: u32,
    programs: impl Iterator<Item = Result<ProgramInfo, ProgramError>>,
) -> Result<Option<ProgramInfo>, ProgramError> {
    let mut failed = None;
    for program in programs {
        match program {
            Ok(program) if program.id() == id => return Ok(Some(program)),
            Err(ProgramError::SyscallError(error)) if is_gone(&error.io_error) => {}
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(None), Err)
}

/// Whether a map is one of devices. One that is gone went with its program; one of a type that is not known is another.
fn holds_devices(map: u32) -> Result<bool, MapError> {
    match MapInfo::from_id(map) {
        Ok(map) => Ok(matches!(
            map.map_type(),
            Ok(MapType::DevMap | MapType::DevMapHash)
        )),
        Err(MapError::SyscallError(error)) if is_gone(&error.io_error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the kernel knows no object of a number (`bpf_prog_get_fd_by_id`, `bpf_map_get_fd_by_id`).
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;
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
    fn an_interface_with_a_program_is_distinguished_from_one_without() {
        // IFLA_XDP_ATTACHED: none.
        let none = [5, 0, 2, 0, 0, 0, 0, 0];
        assert_eq!(decode(&message(&none)), None);
        // IFLA_XDP_ATTACHED: in the driver; IFLA_XDP_PROG_ID 42.
        let mut some = vec![5, 0, 2, 0, 1, 0, 0, 0, 8, 0, 4, 0];
        some.extend(42u32.to_ne_bytes());
        assert_eq!(decode(&message(&some)), Some((IfIndex(3), 42)));
    }

    #[test]
    fn a_program_that_may_not_be_looked_for_is_unknown() {
        let failed = |errno| {
            Err(ProgramError::SyscallError(SyscallError {
                call: "bpf_prog_get_fd_by_id",
                io_error: io::Error::from_raw_os_error(errno),
            }))
        };
        let looked = |errno| program_with(7, std::iter::once(failed(errno)));
        assert!(matches!(looked(libc::ENOENT), Ok(None)), "another is gone");
        assert!(looked(libc::EPERM).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
