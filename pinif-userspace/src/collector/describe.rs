//! What the state of the machine says of a finding: of its first packet, and of the other destinations that it has seen since.

use std::{
    borrow::Cow,
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    sync::Arc,
    time::Duration,
};

use pinif_ebpf::{
    key::IfIndex,
    sample::{Destination, Of},
    sighting::{Count, FindingKey, FindingState},
};

use super::{audit::Audit, key::Key, moment::Moment, names::Names};
use crate::{
    findings::{
        decode::{Sighted, decode},
        enrich,
        explain::Cause,
        finding::Finding,
        process::Process,
        scene::{LookUp, Scene},
        shared::Shared,
        ways::Ways,
    },
    host::{
        conntrack, entrance, groups,
        known_routes::KnownRoutes,
        mptcp,
        namespaces::Enter,
        neighbours::SilentNeighbours,
        network::Network,
        routes::{self, RouteError},
        socket_options::{named_interfaces_of, serves},
    },
    kernel::persist::ArchivedFinding,
    policy::Policy,
};

impl Audit {
    /// A finding as facts. One that was `archived` has the names of then.
    pub(super) fn describe(
        &mut self,
        key: &FindingKey,
        sighted: &Sighted,
        process: Option<Process>,
        count: Count,
        archived: Option<&ArchivedFinding>,
    ) -> Option<Finding> {
        let id = match archived {
            Some(archived) => Names::id(key, archived.predecessors),
            None => self.names.finding_id(key),
        };
        let time = Moment::now()
            .before(Duration::from_nanos(sighted.time))
            .wall;
        self.in_scene(key, sighted, archived, |sighted, scene, look_up, shared| {
            enrich::finding(id, sighted, process, count, time, scene, look_up, shared)
        })
    }

    /// Takes the destinations that an open finding has seen by now: each is asked about once. Whether one was.
    pub(super) fn on_destinations(&mut self, key: &FindingKey, state: &FindingState) -> bool {
        let entry = Key::Counted(*key);
        let Some(place) = self.ledger.place(&entry) else {
            return false;
        };
        let Some(others) = others_of(self.ledger.open(place), state) else {
            return false;
        };
        let finding = self.ledger.open(place).clone();
        let Some(sighted) = decode(key, &state.sighting) else {
            return false;
        };
        if let Some((causes, ways)) = self.ask_others(key, &sighted, &finding, &others) {
            self.ledger.refine(&entry, |finding| {
                finding.causes = causes;
                finding.ways = ways;
            });
        }
        true
    }

    /// What led a finding's packets out, with those to these destinations, and how they are led home.
    pub(super) fn ask_others(
        &mut self,
        key: &FindingKey,
        sighted: &Sighted,
        finding: &Finding,
        others: &[Destination],
    ) -> Option<(Arc<[Cause]>, Arc<Ways>)> {
        self.in_scene(key, sighted, None, |sighted, scene, look_up, shared| {
            enrich::others(finding, sighted, others, scene, look_up, shared)
        })?
    }

    /// Asks again what led a finding's packets out that has grown, where it was but likely that a route did ([`enrich::again`]). Whether it
    /// was asked.
    pub(super) fn on_growth(&mut self, key: &FindingKey, state: &FindingState) -> bool {
        let entry = Key::Counted(*key);
        let Some(place) = self.ledger.place(&entry) else {
            return false;
        };
        let finding = self.ledger.open(place);
        if !self.ledger.is_waiting(place) || !finding.may_be_named() {
            return false;
        }
        let Some(sighted) = decode(key, &state.sighting) else {
            return false;
        };
        let causes = self.in_scene(key, &sighted, None, enrich::again);
        if let Some(causes) = causes.flatten() {
            self.ledger
                .refine(&entry, |finding| finding.causes = causes);
        }
        true
    }

    /// Has something asked of the machine as it is now; nothing where the finding's namespace is not known any more. Of what was `archived`,
    /// the names are those of then.
    fn in_scene<T>(
        &mut self,
        key: &FindingKey,
        sighted: &Sighted,
        archived: Option<&ArchivedFinding>,
        ask: impl FnOnce(&Sighted, &Scene<'_>, &mut LookUp<'_>, &mut Shared) -> T,
    ) -> Option<T> {
        let empty = Policy::default();
        let mut known = self.policies.get(&sighted.generation);
        let mut sighted = Cow::Borrowed(sighted);
        if known.is_none()
            && let Some((policy, rule)) = rule_of(&self.policies, key)
        {
            known = Some(policy);
            sighted.to_mut().rule = Some(rule);
        }
        let names = &self.names;
        let name = |index: IfIndex| {
            let then =
                archived.and_then(|archived| archived.names.of(index, key.egress, key.bound));
            then.map_or_else(|| names.interface(key.netns, index), str::to_owned)
        };
        let netns = names.namespace(key.netns);
        let namespace = self.namespaces.get_mut(&key.netns);
        let enter = namespace.map_or(Enter::Nothing, |namespace| namespace.enter(&netns));
        // A namespace that is gone since a previous instance has a name, and nothing that it could be asked for.
        let nothing = Network::default();
        let (network, hooks, running, oracle) = match self.namespaces.get_mut(&key.netns) {
            Some(namespace) => (
                &namespace.network,
                Some(&namespace.hooks),
                Some(&namespace.running),
                Some(&mut namespace.oracle),
            ),
            None if self.names.has_namespace(key.netns) && !self.takeover.awaits(key.netns) => {
                (&nothing, None, None, None)
            }
            None => return None,
        };
        let mut answers = oracle.map(|oracle| KnownRoutes::of(oracle, &network.links));
        let gone = names.gone_from(key.netns);
        // Several causes ask the same of one packet.
        let nat = RefCell::new(None);
        let options = OnceCell::new();
        let silent = OnceCell::new();
        let rules = OnceCell::new();
        let encapsulating = OnceCell::new();
        let rulesets = RefCell::new(&mut self.rulesets);
        let scene = Scene {
            gone: &gone,
            netns: &netns,
            enter: &enter,
            network,
            policy: known.unwrap_or(&empty),
            name: &name,
            entrance: &|interface| entrance::read(hooks?.netns(), interface),
            runs: &|interface| running?.of(interface),
            silent: &|interface, address| {
                let ask = || SilentNeighbours::read(hooks?.netns()).ok();
                silent.get_or_init(ask).as_ref()?.of(interface, address)
            },
            tracked: &|packet| {
                let netns = hooks?.netns();
                let ask = || conntrack::tracked(netns, packet).ok().flatten();
                *nat.borrow_mut().get_or_insert_with(ask)
            },
            nft: &|| {
                let ask = || hooks.map(|hooks| rulesets.borrow_mut().of(hooks.netns(), key));
                Arc::clone(rules.get_or_init(|| ask().unwrap_or_default()))
            },
            endpoints: &|| {
                let ask = hooks.and_then(|hooks| mptcp::endpoints(hooks.netns()).ok());
                ask.unwrap_or_default()
            },
            encapsulating: &|to| {
                let ask = || hooks.and_then(|hooks| routes::encapsulating(hooks.netns(), to).ok());
                Arc::clone(encapsulating.get_or_init(|| ask().unwrap_or_default().into()))
            },
            options: &|| {
                let (inode, process) = (sighted.socket_inode?, sighted.owner.as_ref()?.id()?);
                *options.get_or_init(|| named_interfaces_of(inode, process))
            },
            serves: &|port| {
                let owner = sighted.owner.as_ref();
                let process = owner.and_then(|owner| owner.id());
                process.is_some_and(|process| serves(port, process))
            },
            groups: &|interface| {
                hooks.map_or_else(Vec::new, |hooks| groups::joined(hooks.netns(), interface))
            },
        };
        Some(ask(
            &sighted,
            &scene,
            &mut |query| match &mut answers {
                Some(answers) => answers.choose(query),
                None => Err(RouteError::Unreachable(query.destination)),
            },
            &mut self.shared,
        ))
    }
}

/// The destinations that a finding has seen by now, where not each was asked about.
pub(super) fn others_of(finding: &Finding, state: &FindingState) -> Option<Vec<Destination>> {
    let seen = || state.samples.of(Of::Destination);
    seen().nth(1)?;
    let seen: Vec<Destination> = seen().map(|one| one.destination()).collect();
    let is_known = |one: &Destination| {
        let address = one.address.ip();
        let is_first = finding
            .flow
            .is_some_and(|flow| flow.destination.address == address);
        is_first || finding.ways.other(address).is_some()
    };
    let is_done = seen.iter().all(is_known) || !enrich::is_of_route(finding);
    (!is_done).then_some(seen)
}

/// The rule that a finding's key names, in the newest of these policies that has one of its name, and its number there.
pub(super) fn rule_of<'a>(
    policies: &'a BTreeMap<u32, Policy>,
    key: &FindingKey,
) -> Option<(&'a Policy, usize)> {
    let newest = policies.values().rev();
    newest
        .filter(|_| key.rule != 0)
        .find_map(|policy| Some((policy, policy.rule_with(key.rule)?)))
}
