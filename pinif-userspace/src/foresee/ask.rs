//! What is asked of routing, each question once: many sockets ask the same.

use std::{collections::HashMap, net::SocketAddr};

use ipnet::IpNet;
use pinif_ebpf::{key::IfIndex, packet::Packet};

use super::{
    copy::Original,
    probes::Probe,
    wire::{RULE, Raw},
};
use crate::{
    host::{
        links::Links,
        network::Network,
        routes::{RouteError, RouteOracle, RouteQuery, RouteResult},
    },
    survey::{Leaves, Owned, sends::packet},
};

/// Something that a socket may send.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    /// The place of the socket among the sockets.
    pub socket: usize,
    /// The place of its question among the questions.
    pub question: usize,
    /// What it would be, but for a source address that routing chooses.
    pub packet: Packet,
    /// The network that it is for, of a socket that is not connected.
    pub network: Option<IpNet>,
}

/// All that sockets may send, and the questions that it takes.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Of all sockets, in their order.
    pub sendings: Vec<Sending>,
    /// Without what routing does not look at.
    pub questions: Vec<RouteQuery>,
    /// For each question, the places of the sendings that ask it.
    pub asked_by: Vec<Vec<usize>>,
}

impl Questions {
    /// Those of some sockets.
    pub fn of(sockets: &[Owned], probes: &[Probe], original: &Original) -> Self {
        let looks = Looks::of(original);
        let mut all = Self::default();
        let mut places = HashMap::new();
        for (place, owned) in sockets.iter().enumerate() {
            let socket = &owned.socket;
            let mut ask = |to: SocketAddr, network| {
                let query = Leaves::query(socket, to);
                let packet = packet(socket, to);
                let question = *places.entry(looks.only(query)).or_insert_with_key(|query| {
                    all.questions.push(query.clone());
                    all.asked_by.push(Vec::new());
                    all.questions.len() - 1
                });
                all.asked_by[question].push(all.sendings.len());
                all.sendings.push(Sending {
                    socket: place,
                    question,
                    packet,
                    network,
                });
            };
            if !socket.remote.ip().is_unspecified() {
                ask(socket.remote, None);
            } else if sends_anywhere(owned) && !original.network.is_of_loopback(socket.local.ip()) {
                let local = socket.local.ip();
                for probe in probes {
                    let to = SocketAddr::new(probe.address(), probe.port);
                    if to.is_ipv4() == local.is_ipv4() || local.is_ipv6() && local.is_unspecified()
                    {
                        ask(to, Some(probe.network));
                    }
                }
            }
        }
        all
    }
}

/// Whether it may send to any destination: a TCP socket that is not connected sends nothing, but was connected where it is gone.
fn sends_anywhere(owned: &Owned) -> bool {
    let socket = &owned.socket;
    let is_tcp = i32::from(socket.protocol) == libc::IPPROTO_TCP && !socket.raw;
    !is_tcp || owned.sent_from.is_some()
}

/// What routing looks at besides addresses, device and mark.
#[derive(Clone, Copy, Debug)]
struct Looks {
    uid: bool,
    flow: bool,
}

impl Looks {
    /// As the rules (linux/fib_rules.h) and the choice among several next hops have it.
    fn of(original: &Original) -> Self {
        const FRA_UID_RANGE: u16 = 20;
        /// `FRA_IP_PROTO`, `FRA_SPORT_RANGE`, `FRA_DPORT_RANGE`, and their masks.
        const FRA_FLOW: [u16; 5] = [22, 23, 24, 28, 29];
        let mut rules = original.rules.iter();
        let has = |kind: u16| move |rule: &&Raw| rule.find(RULE, kind).is_some();
        let uid = original.rules.iter().any(|rule| {
            // Every rule has the range of all users.
            let all = [0u32.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat();
            rule.find(RULE, FRA_UID_RANGE)
                .is_some_and(|range| range != all)
        });
        let flow = rules.any(|rule| FRA_FLOW.iter().any(|&kind| has(kind)(&rule)));
        Self {
            uid,
            flow: flow || original.has_several_next_hops(),
        }
    }

    /// The question without all else.
    fn only(self, query: RouteQuery) -> RouteQuery {
        let mut query = query;
        if !self.uid {
            query.uid = None;
        }
        if !self.flow {
            query.protocol = None;
            (query.source_port, query.destination_port) = (None, None);
        }
        query
    }
}

/// The interfaces that each question's packets would leave by: one, or as many as a route has next hops, where each flow takes one
/// and only the flow shows which. None, where nothing leads there.
///
/// # Errors
///
/// Where a question has no answer, which is another thing than no route.
pub(super) fn ways(
    questions: &[RouteQuery],
    oracle: &mut RouteOracle,
    links: &Links,
    has_several_next_hops: bool,
) -> Result<Vec<Vec<RouteResult>>, RouteError> {
    let up = |index| links.get(index).is_some_and(|link| link.up);
    let mut all = |query: &RouteQuery| {
        // The kernel may still have a route through an interface that is down.
        if query.output.is_some_and(|device| !up(device)) {
            return Ok(Vec::new());
        }
        let way = oracle.way(query).or_else(RouteError::or_no_way)?;
        let mut ways: Vec<_> = way.into_iter().collect();
        // Of an IPv6 flow, the kernel's answer is another than the flow's own: it hashes a flow label that the question has not.
        if has_several_next_hops
            && query.destination.is_ipv6()
            && query.output.is_none()
            && let Ok(route) = oracle.look_up(query)
        {
            let outputs = route.hops.iter().filter_map(|hop| hop.output);
            for output in outputs.filter(|output| up(*output)) {
                if ways.iter().all(|way| way.output != output) {
                    let source = query.source;
                    ways.push(RouteResult { output, source });
                }
            }
        }
        Ok(ways)
    };
    questions.iter().map(&mut all).collect()
}

/// The name of an interface.
pub(super) fn name(network: &Network, index: IfIndex) -> String {
    let link = network.links.get(index);
    link.map_or_else(|| format!("if{}", index.0), |link| link.name.clone())
}
