//! The neighbours on links (ARP, RFC 826; NDP, RFC 4861): those that do not answer when the kernel asks for their address, and those of IPv4 whose
//! link-layer address is known.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr},
};

use netlink_packet_core::Parseable as _;
use netlink_packet_route::{
    AddressFamily,
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
};
use netlink_sys::protocols::NETLINK_ROUTE;
use pinif_ebpf::key::IfIndex;

use super::{listing::list, netns::NetNs};

/// How a neighbour does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unanswered {
    /// It is asked, and has not answered yet.
    Incomplete,
    /// It has not answered when it was asked last.
    Failed,
}

impl Unanswered {
    /// The state's name, as `ip neigh` shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "INCOMPLETE",
            Self::Failed => "FAILED",
        }
    }
}

/// The neighbours of a namespace that do not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SilentNeighbours(BTreeMap<(IfIndex, IpAddr), Unanswered>);

impl SilentNeighbours {
    /// Reads those of a namespace, as they are now.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn read(netns: &NetNs) -> io::Result<Self> {
        let all = NeighbourMessage::default();
        Ok(Self(listed(netns, &all, decode)?.into_iter().collect()))
    }

    /// How this neighbour on an interface does not answer; none where it does, or nobody asked.
    pub fn of(&self, interface: IfIndex, address: IpAddr) -> Option<Unanswered> {
        self.0.get(&(interface, address)).copied()
    }
}

/// A neighbour of IPv4 whose link-layer address the kernel has learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// By which interface.
    pub interface: IfIndex,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its link-layer address, as the kernel has it.
    pub link_address: Vec<u8>,
}

/// The neighbours of IPv4 that the kernel has learnt in a namespace; those that somebody has named for good are not among them.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses netlink.
pub fn reached(netns: &NetNs) -> io::Result<Vec<Reached>> {
    let mut of_ipv4 = NeighbourMessage::default();
    of_ipv4.header.family = AddressFamily::Inet;
    listed(netns, &of_ipv4, decode_reached)
}

fn listed<T: Send>(
    netns: &NetNs,
    of: &NeighbourMessage,
    decode: fn(NeighbourMessage) -> Option<T>,
) -> io::Result<Vec<T>> {
    let listed = netns.run(|| {
        list(NETLINK_ROUTE, libc::RTM_GETNEIGH, of, |kind, payload| {
            let message = (kind == libc::RTM_NEWNEIGH).then(|| NeighbourMessage::parse(payload));
            message?.ok().and_then(decode)
        })
    })??;
    Ok(listed.what_there_is())
}

fn decode_reached(message: NeighbourMessage) -> Option<Reached> {
    let is_learnt = matches!(
        message.header.state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
    );
    let (mut address, mut link_address) = (None, None);
    for attribute in message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(of)) => address = Some(of),
            NeighbourAttribute::LinkLayerAddress(of) => link_address = Some(of),
            _ => {}
        }
    }
    is_learnt.then_some(())?;
    Some(Reached {
        interface: IfIndex(message.header.ifindex),
        address: address?,
        link_address: link_address.filter(|of| of.iter().any(|&byte| byte != 0))?,
    })
}

fn decode(message: NeighbourMessage) -> Option<((IfIndex, IpAddr), Unanswered)> {
    let state = match message.header.state {
        NeighbourState::Incomplete => Unanswered::Incomplete,
        NeighbourState::Failed => Unanswered::Failed,
        _ => return None,
    };
    let address = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                Some(IpAddr::from(*address))
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
                Some(IpAddr::from(*address))
            }
            _ => None,
        })?;
    Some(((IfIndex(message.header.ifindex), address), state))
}
