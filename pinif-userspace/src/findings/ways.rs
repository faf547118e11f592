//! What routing offers a packet beside the way that it took: what remedies are made of.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::explain::Route;
use crate::host::neighbours::Unanswered;

/// What routing offers the first packet of a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ways {
    /// The interfaces where it belongs, and whether it can leave by them; none where that was not asked.
    pub home: Vec<Way>,
    /// The address that the packet could have where it left: the one that the kernel gives to packets without. None where the
    /// interface has none, or where it was not asked.
    pub source: Option<IpAddr>,
    /// A packet with that address leaves there.
    pub is_led_there: bool,
    /// A packet without an address gets one of the interface that it leaves by, which is one where it may leave.
    pub is_right_without: bool,
    /// Who chose the address that it has.
    pub chosen_by: ChosenBy,
    /// Routing gives that address, and the program may name it with its packets nevertheless: it answers from where it was asked.
    pub may_be_named: bool,
    /// The program writes that address in a header of its own (`IP_HDRINCL`): what its socket is bound to does not change it.
    pub writes_header: bool,
    /// The socket is of IPv6, and the packet of IPv4: its destination is a mapped address (ipv6(7)).
    pub is_mapped: bool,
    /// It answers what came in, and no rule of NAT changes it (`nf_nat_inet_fn`).
    pub is_reply: bool,
    /// The destination is a neighbour where it left.
    pub is_near: bool,
    /// The network that the rule which keeps it elsewhere is for, where all that goes there is that rule's.
    pub network: Option<IpNet>,
    /// The other destinations that the finding has seen since, and that routing was asked about.
    pub others: Vec<OtherDestination>,
}

impl Ways {
    /// What is known of another destination of the finding; nothing where it was not asked about.
    pub fn other(&self, address: IpAddr) -> Option<&OtherDestination> {
        self.others.iter().find(|other| other.address == address)
    }
}

/// A destination of a finding beside that of its first packet. Nothing is known of its packets but that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherDestination {
    /// The address.
    pub address: IpAddr,
    /// A packet that is otherwise as the first is led out by the rule and the table that led the first.
    pub is_as_first: bool,
    /// How it is reached from where it belongs; none where that is not known.
    pub way: Option<Way>,
}

/// Whether a packet can leave by an interface where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// The interface.
    pub interface: Arc<str>,
    /// How it reaches the destination.
    pub reach: Reach,
    /// The router that it is reached by does not answer: its state, as the kernel had it when it was asked.
    pub silent: Option<Unanswered>,
    /// A socket that is bound to it leaves by it, as the routes are. Before Linux 6.1 the routes of a VRF lead a socket that is bound
    /// to one of its interfaces elsewhere (`l3mdev_update_flow`).
    pub holds: bool,
    /// It is reached by a route that only what is bound to nothing follows: no command that binds a socket leads there.
    pub is_for_unbound: bool,
    /// The address that the packet could have there, as in [`Ways::source`].
    pub source: Option<IpAddr>,
    /// The network that the route is for which reaches it; the destination alone, where there is none.
    pub network: IpNet,
    /// The routes that lead elsewhere instead of the one that reaches it, with all that a table distinguishes them by: those that were before
    /// it when it was appended (`NLM_F_APPEND`).
    pub instead: Vec<Route>,
    /// The table whose route leads there, without the rules that ask for more of a packet than its destination.
    pub table: Option<u32>,
}

impl Way {
    /// The first of these that reaches the destination: a neighbour's own link before a router, which nothing may want; and a router that
    /// answers, or was not asked, before one that does not.
    pub fn first<'a>(
        ways: impl Iterator<Item = &'a Self> + Clone,
        by_router: bool,
    ) -> Option<&'a Self> {
        let direct = ways.clone().find(|way| way.reach == Reach::Direct);
        let routed = ways.filter(|way| way.reach != Reach::Nowhere);
        // Of several that have the same, it is the first.
        let router = routed.min_by_key(|way| way.silent.is_some());
        direct.or_else(|| router.filter(|_| by_router))
    }
}

/// How an interface reaches a destination, by the routes that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// By none, or the rule that decided does not allow the interface.
    Nowhere,
    /// The destination is a neighbour, or a group.
    Direct,
    /// By a router.
    Via {
        /// Its address.
        gateway: IpAddr,
        /// It is on the link, whatever the link's networks are (`onlink`).
        is_onlink: bool,
    },
}

/// Who chose a packet's source address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChosenBy {
    /// It is not known.
    #[default]
    Unknown,
    /// The program: by `bind()`, by `IP_PKTINFO`, or by a header of its own.
    Program,
    /// A route has it for packets that have none (`src`).
    Route,
    /// The kernel, since the interface has no address that it may use (`inet_select_addr`).
    Kernel,
    /// The kernel, for the way that the packet would have gone without its mark, or to the destination that it had before NAT.
    Before,
    /// NAT: the packet had another source.
    Nat,
    /// Whoever asked: the kernel, or a server, answers from the address that it was asked at (`tcp_v4_send_reset`, `icmp_reply`,
    /// `inet_csk_route_req`). Nobody takes the answer from another, and NAT changes none.
    Asked,
    /// The settings of a tunnel (`local`), or of a route that encapsulates.
    Tunnel,
}
