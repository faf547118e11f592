//! The chains of nftables: where in the kernel packets enter them, and by which rules they come from one to another.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::Arc,
};

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::{
    conditions::{Condition, Known},
    message::{HEADER, family},
};
use crate::host::{
    attributes::{attribute, be_number, text},
    listing::list,
    raw::Raw,
};

/// Where in the kernel a chain is entered, by what its marks do to routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before what arrives is routed (`prerouting`, `ingress`).
    Arrival,
    /// Where the host takes it in (`input`).
    Input,
    /// Where the host sends it, and it is routed anew: chains of type `route` (`nf_route_table_hook4`) and `nat` (`nf_nat_ipv4_local_fn`).
    Output,
    /// The same of type `filter`: it is routed anew only where another chain changes it.
    Filter,
    /// After all routing, or where no IP packet is.
    Later,
}

/// Where packets come from to a chain, and what the rules on the way there ask of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    stage: Stage,
    conditions: Vec<Condition>,
}

impl Entry {
    const fn without_conditions(stage: Stage) -> Self {
        Self {
            stage,
            conditions: Vec::new(),
        }
    }
}

/// Where packets come to a rule from; none where that is not known, and they may come from anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reached(Option<Arc<[Entry]>>);

impl Reached {
    /// Whether a packet that is at one of these stages may come there.
    pub(super) fn may_be(&self, stages: &[Stage], packet: &Known) -> bool {
        let may_enter = |entry: &Entry| {
            let mut conditions = entry.conditions.iter();
            stages.contains(&entry.stage) && conditions.all(|one| one.may_hold(packet))
        };
        match &self.0 {
            Some(entries) => entries.iter().any(may_enter),
            None => true,
        }
    }
}

/// A chain's name: the family and the name of its table, and its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub family: &'static str,
    pub table: String,
    pub chain: String,
}

/// That a rule leads packets to another chain of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    /// The chain; none where a map says which (`vmap`).
    pub to: Option<String>,
    /// What it asks of them.
    pub conditions: Vec<Condition>,
}

/// `NFT_MSG_GETCHAIN`.
const GET_CHAINS: u16 = 10 << 8 | 4;

/// The chains of the calling thread's namespace, and where those are entered that are entered from no other.
///
/// # Errors
/// What the kernel says.
pub(super) fn chains() -> io::Result<Vec<(Place, Option<Stage>)>> {
    let question = Raw::question(HEADER, 0);
    let read = |_, payload: &[u8]| read(payload);
    Ok(list(NETLINK_NETFILTER, GET_CHAINS, &question, read)?.what_there_is())
}

fn read(payload: &[u8]) -> Option<(Place, Option<Stage>)> {
    /// `NFTA_CHAIN_…`.
    const TABLE: u16 = 1;
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const TYPE: u16 = 7;
    /// `NFTA_HOOK_HOOKNUM`.
    const NUMBER: u16 = 1;
    let family = family(*payload.first()?)?;
    let body = payload.get(HEADER..)?;
    let place = Place {
        family,
        table: text(&attribute(body, TABLE)?),
        chain: text(&attribute(body, NAME)?),
    };
    let stage = attribute(body, HOOK).and_then(|hook| {
        let number = be_number(&attribute(&hook, NUMBER)?)?;
        let kind = text(&attribute(body, TYPE).unwrap_or_default());
        Some(stage(family, number, &kind))
    });
    Some((place, stage))
}

/// The stage of a hook (`NF_INET_…`, `NF_BR_…`, `NF_NETDEV_…`).
fn stage(family: &str, hook: u32, kind: &str) -> Stage {
    match (family, hook) {
        ("netdev", 0) | ("bridge", 0 | 1 | 5) | ("ip" | "ip6" | "inet", 0 | 5) => Stage::Arrival,
        ("ip" | "ip6" | "inet", 1) => Stage::Input,
        ("ip" | "ip6" | "inet", 3) if kind == "filter" => Stage::Filter,
        ("ip" | "ip6" | "inet", 3) => Stage::Output,
        _ => Stage::Later,
    }
}

/// What leads from chain to chain.
pub(super) struct Graph {
    stages: HashMap<Place, Option<Stage>>,
    /// By the chain that they lead to, each with the chain that it is in.
    jumps: HashMap<Place, Vec<(Place, Vec<Condition>)>>,
    /// The tables with a rule that may lead to any chain of theirs.
    mapped: HashSet<(&'static str, String)>,
    known: HashMap<Place, Reached>,
}

impl Graph {
    pub fn new(chains: Vec<(Place, Option<Stage>)>, jumps: Vec<(Place, Jump)>) -> Self {
        let mut graph = Self {
            stages: chains.into_iter().collect(),
            jumps: HashMap::new(),
            mapped: HashSet::new(),
            known: HashMap::new(),
        };
        for (from, Jump { to, conditions }) in jumps {
            if let Some(chain) = to {
                let to = Place {
                    chain,
                    ..from.clone()
                };
                graph.jumps.entry(to).or_default().push((from, conditions));
            } else {
                graph.mapped.insert((from.family, from.table));
            }
        }
        graph
    }

    /// Where packets come to a chain from; anywhere, where that is not known.
    pub fn reached(&mut self, place: &Place) -> Reached {
        self.entered(place, 0)
    }

    fn entered(&mut self, place: &Place, depth: usize) -> Reached {
        /// `NFT_JUMP_STACK_SIZE`: the kernel lets no packet go deeper.
        const DEEPEST: usize = 16;
        if depth > DEEPEST {
            return Reached(None);
        }
        if let Some(known) = self.known.get(place) {
            return known.clone();
        }
        let reached = Reached(self.entries(place, depth).map(Into::into));
        self.known.insert(place.clone(), reached.clone());
        reached
    }

    fn entries(&mut self, place: &Place, depth: usize) -> Option<Vec<Entry>> {
        /// Of more, only the stages are kept.
        const MANY: usize = 32;
        if let Some(stage) = *self.stages.get(place)? {
            return Some(vec![Entry::without_conditions(stage)]);
        }
        if self.mapped.contains(&(place.family, place.table.clone())) {
            let of_table =
                |other: &&Place| other.family == place.family && other.table == place.table;
            let of_table = self.stages.keys().filter(of_table);
            let stages = of_table.filter_map(|other| self.stages[other]);
            return Some(stages.map(Entry::without_conditions).collect());
        }
        let mut all: Vec<Entry> = Vec::new();
        for (from, conditions) in self.jumps.get(place).cloned().unwrap_or_default() {
            let before = self.entered(&from, depth + 1).0?;
            all.extend(before.iter().map(|before| Entry {
                stage: before.stage,
                conditions: [&before.conditions[..], &conditions].concat(),
            }));
            if all.len() > MANY {
                let stages: HashSet<Stage> = all.drain(..).map(|entry| entry.stage).collect();
                all.extend(stages.into_iter().map(Entry::without_conditions));
            }
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(chain: &str) -> Place {
        Place {
            family: "inet",
            table: "lab".to_owned(),
            chain: chain.to_owned(),
        }
    }

    fn jump(from: &str, to: Option<&str>) -> (Place, Jump) {
        let jump = Jump {
            to: to.map(str::to_owned),
            conditions: Vec::new(),
        };
        (place(from), jump)
    }

    fn chains() -> Vec<(Place, Option<Stage>)> {
        let [out, input] = [("out", 3, "route"), ("in", 1, "filter")]
            .map(|(name, hook, kind)| (place(name), Some(stage("inet", hook, kind))));
        let others = ["sub", "deep", "alone"].map(|name| (place(name), None));
        [out, input].into_iter().chain(others).collect()
    }

    #[test]
    fn a_chain_is_entered_where_those_are_that_lead_to_it() {
        let jumps = vec![jump("out", Some("sub")), jump("sub", Some("deep"))];
        let mut graph = Graph::new(chains(), jumps);
        let mut may = |name: &str, stage| {
            let reached = graph.reached(&place(name));
            reached.may_be(&[stage], &Known::default())
        };
        assert!(may("deep", Stage::Output) && !may("deep", Stage::Input));
        assert!(may("in", Stage::Input) && !may("in", Stage::Output));
        assert!(!may("alone", Stage::Output) && !may("alone", Stage::Input));
        assert!(may("that came since", Stage::Output));
        // A map may lead to any.
        let mut graph = Graph::new(chains(), vec![jump("in", None)]);
        let reached = graph.reached(&place("alone"));
        assert!(reached.may_be(&[Stage::Input], &Known::default()));
    }

    #[test]
    fn chains_that_lead_to_each_other_end() {
        let jumps = vec![jump("sub", Some("deep")), jump("deep", Some("sub"))];
        let reached = Graph::new(chains(), jumps).reached(&place("sub"));
        assert!(reached.may_be(&[Stage::Input], &Known::default()));
    }

    #[test]
    fn only_some_hooks_of_output_route_anew() {
        let of = |family, hook, kind| stage(family, hook, kind);
        assert_eq!(of("ip", 3, "nat"), Stage::Output);
        assert_eq!(of("ip6", 3, "filter"), Stage::Filter);
        assert_eq!(of("ip", 2, "filter"), Stage::Later);
        assert_eq!(of("inet", 5, "filter"), Stage::Arrival);
        assert_eq!(of("netdev", 1, "filter"), Stage::Later);
        assert_eq!(of("arp", 1, "filter"), Stage::Later);
    }
}
