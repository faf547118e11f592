//! The neighbours that do not answer: whoever the kernel asks for an address on a link (ARP, RFC 826; NDP, RFC 4861), and gets no answer.

use std::{collections::BTreeMap, io, net::IpAddr};

use netlink_packet_core::Parseable as _;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use pinif_ebpf::key::IfIndex;

use super::{listing::list, netns::NetNs};

/// How a neighbour does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let listed = netns.run(|| {
            list(
                NETLINK_ROUTE,
                libc::RTM_GETNEIGH,
                &NeighbourMessage::default(),
                |kind, payload| {
                    (kind == libc::RTM_NEWNEIGH)
                        .then(|| decode(payload))
                        .flatten()
                },
            )
        })??;
        Ok(Self(listed.what_there_is().into_iter().collect()))
    }

    /// How this neighbour on an interface does not answer; none where it does, or nobody asked.
    pub fn of(&self, interface: IfIndex, address: IpAddr) -> Option<Unanswered> {
        self.0.get(&(interface, address)).copied()
    }
}

fn decode(payload: &[u8]) -> Option<((IfIndex, IpAddr), Unanswered)> {
    let message = NeighbourMessage::parse(payload).ok()?;
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
