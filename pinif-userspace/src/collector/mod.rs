//! The only wiring: host, kernel, ledger and sinks, from start to summary.
//!
//! What the kernel sees wakes the collector; what it counted is read from its maps, once a second while there is a
//! finding, and at the end. NetlinkEvent of the host's interfaces go the other way, into the maps.

pub mod enforcement;
mod enforcing;
mod foresight;
mod gaps;
mod interfaces;
pub mod ledger;
mod logged;
mod names;
mod namespaces;
mod netlink_events;
mod progress;
mod rate_limit;
mod reader;
mod report;
mod searches;
mod session;
mod start;
mod starting;
mod takeover;
mod totals;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use futures::{FutureExt as _, StreamExt as _};
use globset::GlobMatcher;
use pinif_ebpf::{key::NetNsCookie, sighting::SightingRecord};
use tokio::sync::mpsc;

use self::{
    foresight::Foreseeing,
    gaps::Gaps,
    names::Names,
    namespaces::Following,
    netlink_events::{Followed, NetlinkEvent, NetlinkEvents},
    rate_limit::RateLimit,
    reader::Reader,
    searches::Searches,
    takeover::Earlier,
    totals::{Past, Place},
};

pub use session::Objection;

use self::{
    enforcement::{Enforce, Enforcement},
    ledger::{FailOn, Key, Ledger, exit_status},
};
use crate::{
    host::{
        namespaces::Wanted, netns::NetNs, network::Network, routes::RouteOracle, running::Running,
    },
    kernel::{
        attach::{Hooks, Mode, NamespaceHooks},
        counters::Counters,
        load::Loader,
        persist::Persist,
        publish::{Publisher, Unresolved, ingress_policy::watched, wait_for_running_programs},
        sightings::Sightings,
    },
    policy::{Policy, PolicyErrors, counted},
    surfaces::{Level, Sink},
};

/// How often counters are read while there is a finding.
const READ_EVERY: Duration = Duration::from_secs(1);
/// How long the end waits for processes that are still looked for.
const SEARCH_PATIENCE: Duration = Duration::from_secs(1);

/// What to audit.
pub struct Plan {
    /// The network namespaces of the beginning.
    pub namespaces: Vec<NetNs>,
    /// Those that are audited besides, for as long as they are there.
    pub wanted: Wanted,
    /// The interfaces, by name; all where empty.
    pub interfaces: Vec<GlobMatcher>,
    /// The cgroup below which sockets are followed: a directory of the v2 hierarchy.
    pub cgroup: PathBuf,
    /// The policy in force at the start.
    pub policy: Policy,
    /// Whether leaks are dropped.
    pub enforce: Enforce,
    /// Whether a policy that comes later would drop the session.
    pub objection: Objection,
    /// How long to audit; until `stop` where there is none.
    pub duration: Option<Duration>,
    /// From which severity on the exit status is 2.
    pub fail_on: FailOn,
    /// Whether it is foreseen what would leak if an interface went down.
    pub foresee: bool,
    /// How to attach.
    pub attach: Mode,
    /// The level of aya-log in the programs: 0 is off, 1 errors, 5 traces.
    pub log_level: u8,
    /// What loads the programs.
    pub loader: Loader,
    /// What is to stay when the collector ends; nothing, if nothing is.
    pub persist: Option<Persist>,
}

/// What may happen to an audit from outside.
pub enum Order {
    /// A new policy comes into force.
    Policy(Box<Policy>),
    /// The policy was changed, and is wrong now: the one in force stays.
    WrongPolicy(PolicyErrors),
    /// The operator confirms that leaks are to be dropped for good.
    Confirm,
    /// Nobody reads standard output any more, and the audit goes on.
    ReaderLeft,
    /// Something to be told, such as a policy that is wrong.
    Note(Level, String),
}

/// Audits until `stop` is ready, the plan's time is over or a sink says that its reader has left, and returns the exit status.
///
/// # Errors
///
/// When the kernel refuses what an audit needs.
pub async fn run(
    plan: Plan,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    sink: &mut dyn Sink,
    stop: impl Future<Output = ()>,
) -> Result<u8> {
    let mut reader = Reader::of(sink);
    let (mut audit, mut changes) = Audit::start(plan, &mut reader)?;
    audit.until(stop, orders, &mut changes, &mut reader).await?;
    audit.drain_events(&mut changes, &mut reader)?;
    audit.end(&mut reader).await
}

/// One audited namespace.
struct Namespace {
    hooks: NamespaceHooks,
    network: Network,
    oracle: RouteOracle,
    running: Running,
    /// Something led to it at the last look: when nothing does any more, it is gone.
    is_kept: bool,
    _followed: Followed,
}

/// When a new finding is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// At once.
    Now,
    /// As soon as its like let it ([`RateLimit`]).
    RateLimited,
}

struct Audit {
    persist: Option<Rc<Persist>>,
    earlier: Earlier,
    namespaces: BTreeMap<NetNsCookie, Namespace>,
    /// In the order of the command line, and then of their coming.
    order: Vec<NetNsCookie>,
    following: Following,
    names: Names,
    past: Past,
    /// Attached for as long as it lives.
    hooks: Hooks,
    gaps: Gaps,
    publisher: Publisher,
    sightings: Sightings,
    counters: Counters,
    ledger: Ledger<Key>,
    rate_limit: RateLimit,
    /// Some finding has a counter.
    counts: bool,
    /// Every policy that was in force, by generation: sightings name the one that they were judged by.
    policies: BTreeMap<u32, Policy>,
    enforcement: Enforcement,
    objection: Objection,
    /// When nothing is dropped any more.
    enforced_until: Option<Instant>,
    interfaces: Vec<GlobMatcher>,
    duration: Option<Duration>,
    fail_on: FailOn,
    started: Instant,
    searches: Searches,
    foreseeing: Foreseeing,
}

impl Audit {
    async fn until(
        &mut self,
        stop: impl Future<Output = ()>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        changes: &mut NetlinkEvents,
        sink: &mut Reader<'_>,
    ) -> Result<()> {
        tokio::pin!(stop);
        let duration = self.duration;
        let over = async {
            match duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        let mut next_read = Instant::now() + READ_EVERY;
        while !sink.has_left() {
            let mut seen = Vec::new();
            let mut arrived = Vec::new();
            let mut bypassing = Vec::new();
            let has_findings = self.counts || self.ledger.waits();
            let gaps_due = self.gaps.due();
            let enforced_until = self.enforced_until;
            let resting = self.rate_limit.rests_until();
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = &mut over => return Ok(()),
                () = at(enforced_until) => self.end_enforcing(sink)?,
                outcome = self.sightings.next(|record| seen.push(record)), if resting.is_none() => {
                    outcome.context("the ring buffer cannot be read")?;
                    self.drain_events(changes, sink)?;
                    for SightingRecord { key, sighting } in seen {
                        self.on_sighting(&key, &sighting, When::RateLimited, sink)?;
                    }
                }
                () = tokio::time::sleep_until(resting.unwrap_or(next_read).into()), if resting.is_some() => {
                    self.rate_limit.wakes();
                }
                Some((netns, news)) = changes.next() => self.learn(netns, news, sink)?,
                outcome = self.following.arrivals.next(|arrival| arrived.push(arrival)) => {
                    outcome.context("the ring buffer of namespaces cannot be read")?;
                    self.arrived(&arrived);
                }
                outcome = self.gaps.news.next(|socket| bypassing.push(socket)) => {
                    outcome.context("the ring buffer of sockets that bypass cannot be read")?;
                    self.bypassing(&bypassing);
                }
                () = tokio::time::sleep_until(gaps_due.into()) => self.look_for_gaps(sink)?,
                () = self.following.watch.due() => self.look(changes, sink)?,
                Some(order) = orders.recv() => match order {
                    Order::Policy(policy) => self.reload(*policy, sink)?,
                    Order::WrongPolicy(errors) => {
                        let text = "the changed policy is wrong, and the one in force stays";
                        sink.note(Level::Error, text)?;
                        for problem in errors.problems() {
                            sink.note(Level::Error, &problem.brief())?;
                        }
                    }
                    Order::Confirm => self.confirm_enforcing(sink)?,
                    Order::ReaderLeft => sink.reader_left(),
                    Order::Note(level, text) => sink.note(level, &text)?,
                },
                (key, process) = self.searches.next() => self.correct(&key, process),
                step = self.foreseeing.next() => self.foresee(step, sink)?,
                () = tokio::time::sleep_until(next_read.into()), if has_findings => {
                    next_read = Instant::now() + READ_EVERY;
                    self.drain_events(changes, sink)?;
                    self.read_findings(When::RateLimited, sink)?;
                    self.show_due(sink)?;
                }
            }
            if self.gaps.is_due_awake() {
                self.look_for_all_gaps(false, sink)?;
            }
        }
        Ok(())
    }

    /// Takes the news that wait, before findings are told: a link that went down was told of before the first packet
    /// that left elsewhere for it, so the cause is to be found.
    fn drain_events(&mut self, changes: &mut NetlinkEvents, sink: &mut dyn Sink) -> Result<()> {
        while let Some(Some((netns, news))) = changes.next().now_or_never() {
            self.learn(netns, news, sink)?;
        }
        Ok(())
    }

    fn reload(&mut self, policy: Policy, sink: &mut dyn Sink) -> Result<()> {
        if !self.spares_session(&policy, sink)? {
            return Ok(());
        }
        // Before the policy is in force, so that nothing arrives unseen from then on; under the old one nothing is found there.
        for namespace in self.namespaces.values_mut() {
            let wanted = watched(&namespace.network, &policy);
            if !wanted.is_empty()
                && let Err(error) = self.hooks.load_ingress(&mut self.following.entries)
            {
                let text = format!("the policy in force stays: {error:#}");
                return Ok(sink.note(Level::Error, &text)?);
            }
            namespace.watch_arrivals(&wanted, sink)?;
        }
        let networks: Vec<_> = self
            .namespaces
            .iter()
            .map(|(&netns, namespace)| (netns, &namespace.network))
            .collect();
        takeover::note_next(&self.publisher, &policy, self.persist.as_deref())?;
        match self.publisher.policy(&policy, &networks) {
            Ok(unresolved) => {
                let text = format!(
                    "a new policy is in force: {}, {}",
                    counted(policy.zones.len(), "zone"),
                    counted(policy.rules.len(), "rule")
                );
                // A file that was cut short, perhaps.
                let is_empty = policy.zones.is_empty() && policy.rules.is_empty();
                let level = if is_empty {
                    Level::Warning
                } else {
                    Level::Info
                };
                sink.note(level, &text)?;
                warn_of(&policy, &unresolved, sink)?;
                self.warn_of_idle_rules(&policy, sink)?;
                self.policies.insert(self.publisher.generation(), policy);
            }
            Err(error) => {
                let text =
                    format!("the new policy does not fit, and the one in force stays: {error:#}");
                sink.note(Level::Error, &text)?;
            }
        }
        for netns in self.order.clone() {
            self.watch_arrivals(netns, sink)?;
            self.foreseeing.changed(netns);
        }
        Ok(())
    }

    /// Detaches, so that nothing is counted any more, and tells the exact totals.
    async fn end(mut self, sink: &mut dyn Sink) -> Result<u8> {
        self.look_for_all_gaps(true, sink)?;
        let duration = self.started.elapsed();
        if self.persist.is_none() {
            // From this instant on, nothing is counted anywhere.
            self.following.entries.close()?;
        }
        // A packet that is inside the programs is counted to its end.
        wait_for_running_programs();
        self.read_findings(When::Now, sink)?;
        self.end_foreseeing(sink).await?;
        for (key, process) in self.searches.rest(SEARCH_PATIENCE).await {
            self.correct(&key, process);
        }
        let rest: Vec<_> = self.ledger.rest().collect();
        self.show_again(rest, sink)?;
        let losses = self.counters.losses()?;
        let netns = |cookie: NetNsCookie| self.following.name(cookie);
        let interface = |netns, index| self.names.of(netns, index);
        let matrix = self.past.and(&self.counters.cells()?, |key| {
            Place::of(key, &netns, &interface)
        });
        let foreseen = self.foreseeing.book();
        let findings = self.ledger.len() as u64 + foreseen.told();
        let worst = self.ledger.worst().max(foreseen.worst());
        sink.summary(&totals::summary(duration, matrix, findings, &losses))?;
        Self::leave_attached(self.persist.as_ref(), self.enforcement.is_on(), sink)?;
        let incomplete = losses.iter().any(|(loss, _)| loss.loses_counts()) || sink.lost() > 0;
        Ok(exit_status(self.fail_on, worst, incomplete))
    }
}

/// Tells what of a policy that is in force is probably not meant, and what of it has no effect.
fn warn_of(policy: &Policy, unresolved: &[Unresolved], sink: &mut dyn Sink) -> Result<()> {
    for warning in &policy.warnings {
        sink.note(Level::Warning, &warning.brief())?;
    }
    for Unresolved { what, why } in unresolved {
        let text = format!(
            "the policy's {what} is not on this machine ({why}): its rule matches nothing until the policy is read again"
        );
        sink.note(Level::Warning, &text)?;
    }
    Ok(())
}

/// Ready at this time; never, if there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
