//! What would be judged worse after an event than it is now.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use anyhow::{Context as _, Result};
use pinif_ebpf::{
    key::IfIndex,
    verdict::{Decision, Kind, Severity},
};

use super::{
    ask::{Questions, Sending, ways},
    copy::Original,
    probes,
};
use crate::{
    host::{
        namespaces::Enter,
        network::Network,
        routes::{RouteOracle, RouteResult},
    },
    policy::{
        Policy,
        evaluate::{InForce, Sender, Surroundings},
    },
    survey::{
        Owned,
        sends::{SocketSender, senders},
    },
};

/// All that events are judged by.
pub(super) struct Judge<'a> {
    pub original: &'a Original,
    pub policy: &'a Policy,
    pub sockets: &'a [Owned],
    /// What leads a shell to the namespace.
    pub enter: Enter,
    in_force: InForce,
    senders: Vec<Sender>,
    asked: Questions,
    /// How it is now.
    now: Side,
}

/// Before or after an event.
struct Side {
    surroundings: Surroundings,
    ways: Vec<Vec<RouteResult>>,
}

/// A socket's sending that is worse than it was.
pub(super) struct Worse<'a> {
    pub sending: &'a Sending,
    pub kind: Kind,
    pub decision: Decision,
    /// Where such packets leave now: of several next hops, the one first from which it is worse.
    pub before: Vec<RouteResult>,
    pub after: RouteResult,
}

/// How grave a verdict is: as [`Kind::ALL`] orders them.
type Gravity = Option<(Severity, Reverse<Kind>)>;

fn gravity(decision: &Decision) -> Gravity {
    let finding = decision.finding();
    finding.map(|(kind, severity)| (severity, Reverse(kind)))
}

impl<'a> Judge<'a> {
    /// Asks how it is now.
    ///
    /// # Errors
    ///
    /// Where the namespace may not be entered, or routes cannot be asked for.
    pub fn new(original: &'a Original, policy: &'a Policy, sockets: &'a [Owned]) -> Result<Self> {
        let in_force = InForce::new(policy);
        let probes = probes::of(&original.networks, policy);
        let asked = Questions::of(sockets, &probes, original);
        let mut oracle =
            RouteOracle::open(&original.netns).context("routes cannot be asked for")?;
        Ok(Self {
            original,
            policy,
            sockets,
            enter: Enter::of(&original.netns),
            senders: senders(sockets, &in_force),
            in_force,
            now: Side {
                surroundings: Surroundings::of(&original.network, policy),
                ways: ways(
                    &asked.questions,
                    &mut oracle,
                    &original.network.links,
                    original.has_several_next_hops(),
                )?,
            },
            asked,
        })
    }

    /// What would be worse in this network, whose routes the oracle has: at most one sending of each socket, its gravest, in
    /// the order of the sockets.
    ///
    /// # Errors
    ///
    /// Where routes cannot be asked for.
    pub fn worse(&self, network: &Network, oracle: &mut RouteOracle) -> Result<Vec<Worse<'_>>> {
        let then = Side {
            surroundings: Surroundings::of(network, self.policy),
            ways: ways(
                &self.asked.questions,
                oracle,
                &network.links,
                self.original.has_several_next_hops(),
            )?,
        };
        let mut worst: HashMap<usize, Worse<'_>> = HashMap::new();
        for place in self.touched(&then) {
            let sending = &self.asked.sendings[place];
            let Some(worse) = self.compare(sending, &then) else {
                continue;
            };
            let known = worst.get(&sending.socket);
            if known.is_none_or(|known| gravity(&worse.decision) > gravity(&known.decision)) {
                worst.insert(sending.socket, worse);
            }
        }
        let mut all: Vec<_> = worst.into_values().collect();
        all.sort_by_key(|worse| worse.sending.socket);
        Ok(all)
    }

    /// The sendings that may be judged otherwise than now, in their order.
    fn touched(&self, then: &Side) -> BTreeSet<usize> {
        let all_are = then.surroundings != self.now.surroundings;
        let questions = 0..self.asked.questions.len();
        questions
            .filter(|&question| all_are || then.ways[question] != self.now.ways[question])
            .flat_map(|question| self.asked.asked_by[question].iter().copied())
            .collect()
    }

    fn compare<'s>(&'s self, sending: &'s Sending, then: &Side) -> Option<Worse<'s>> {
        let (before, after) = (
            &self.now.ways[sending.question],
            &then.ways[sending.question],
        );
        // Of one that is gone, no more is known than its source, which routing chose where it went.
        let sent_from = self.sockets[sending.socket].sent_from;
        let is_sent = |from: IpAddr| before.iter().any(|way| way.source == Some(from));
        if !sent_from.is_none_or(is_sent) {
            return None;
        }
        let judge = |way: &RouteResult| (*way, self.verdict(sending, *way, &then.surroundings));
        let outputs = |ways: &[RouteResult]| -> BTreeSet<IfIndex> {
            ways.iter().map(|way| way.output).collect()
        };
        // A flow keeps its next hop as long as the route has the same ones. Otherwise it may take any.
        let stays = outputs(before) == outputs(after);
        let from = |now: Option<&RouteResult>| {
            let judged = now.map_or(Decision::CONTAINED, |way| {
                self.verdict(sending, *way, &self.now.surroundings)
            });
            let may = |way: &&RouteResult| !stays || now.is_none_or(|now| now.output == way.output);
            let gravest = after
                .iter()
                .filter(may)
                .map(judge)
                .max_by_key(|(_, decision)| gravity(decision))?;
            let is_worse = gravity(&gravest.1) > gravity(&judged)
                && gravest.1.severity >= Severity::Risk as u8;
            is_worse.then_some((gravest, now.copied()))
        };
        let worse = before
            .iter()
            .map(Some)
            .chain(before.is_empty().then_some(None))
            .filter_map(from)
            .max_by_key(|((_, decision), _)| gravity(decision));
        let mut moved = after
            .iter()
            .filter(|way| self.moves(sending, before, **way));
        let ((after, decision), from) = match worse {
            Some(worse) => worse,
            None => (judge(moved.next()?), before.first().copied()),
        };
        let finding = decision.finding();
        let others = before.iter().filter(|way| Some(**way) != from);
        Some(Worse {
            sending,
            kind: finding.map_or(Kind::Unpinned, |(kind, _)| kind),
            decision,
            before: from.iter().chain(others).copied().collect(),
            after,
        })
    }

    /// Whether it leaves by another interface than it does, where no policy says which are of one zone.
    fn moves(&self, sending: &Sending, before: &[RouteResult], after: RouteResult) -> bool {
        let says_nothing = self.policy.zones.is_empty() && self.policy.rules.is_empty();
        let owned = &self.sockets[sending.socket];
        let is_pinned = owned.socket.device.is_some() || owned.sent_from.is_some();
        let outside = |way: &RouteResult| way.output != IfIndex::LOOPBACK;
        says_nothing
            && !is_pinned
            && !before.is_empty()
            && outside(&after)
            && before
                .iter()
                .all(|before| outside(before) && before.output != after.output)
    }

    fn verdict(
        &self,
        sending: &Sending,
        way: RouteResult,
        surroundings: &Surroundings,
    ) -> Decision {
        let socket_sender = SocketSender {
            owned: &self.sockets[sending.socket],
            sender: &self.senders[sending.socket],
        };
        socket_sender.verdict(&sending.packet, way, &self.in_force, surroundings)
    }
}
