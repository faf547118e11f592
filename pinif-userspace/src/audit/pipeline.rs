//! The only wiring: host, kernel, ledger and sinks, from start to summary.
//!
//! What the kernel sees wakes the collector; what it counted is read from its maps, once a second while there is a
//! finding, and at the end. News of the host's interfaces go the other way, into the maps.

mod enforce;
mod gaps;
mod interfaces;
mod latent;
pub(crate) mod lives;
mod names;
mod namespaces;
mod news;
mod noted;
mod pace;
mod progress;
mod reader;
mod searches;
mod session;
mod totals;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use futures::{FutureExt as _, StreamExt as _};
use globset::GlobMatcher;
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::{Count, FindingKey, FindingValue, Sighting, SightingRecord},
};
use tokio::sync::mpsc;

use self::{
    gaps::Gaps,
    latent::Foreseeing,
    lives::{Earlier, Starting},
    names::Names,
    namespaces::Following,
    news::{Changes, Followed, News},
    pace::Pace,
    reader::Reader,
    searches::Searches,
    totals::{Past, Place},
};

pub use session::Objection;

use super::{
    cause::Scene,
    decode::{Sighted, decode},
    enforce::{Enforce, Enforcement},
    enrich,
    finding::{Attach, Finding, Process, Ready},
    ledger::{FailOn, Key, Ledger, exit_status},
};
use crate::{
    host::{
        entrance, kernel_types,
        namespaces::{Wanted, Watch},
        netns::NetNs,
        network::Network,
        routes::{RouteError, RouteOracle},
        running::Running,
    },
    kernel::{
        arrivals::Arrivals,
        attach::{CgroupHooks, Mode, NamespaceHooks, load_traffic},
        bypass::Bypasses,
        clock::monotonic,
        counters::Counters,
        load::load,
        logs,
        persist::{ClosedFinding, Persist},
        publish::{Publisher, Unresolved, gates::watched, wait_for_running_programs},
        sightings::Sightings,
    },
    policy::{Policy, PolicyErrors, counted},
    sinks::{Level, Sink},
};

/// How often counters are read while there is a finding.
const READ_EVERY: Duration = Duration::from_secs(1);
/// How long the end waits for processes that are still looked for.
const SEARCH_PATIENCE: Duration = Duration::from_secs(1);

/// Of a finding that was judged by a policy which only an earlier life knew.
const OF_AN_EARLIER_LIFE: &str = " The rule is of a policy that an earlier collector had in force: its name is not known any more.";

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
    /// Something to be told, such as a policy that is wrong.
    Note(Level, String),
}

/// Audits until `stop` is ready, the plan's time is over or nobody reads any more, and returns the exit status.
///
/// # Errors
///
/// When the kernel refuses what an audit needs, or a sink fails.
pub async fn run(
    plan: Plan,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    sink: &mut dyn Sink,
    stop: impl Future<Output = ()>,
) -> Result<u8> {
    let mut reader = Reader::of(sink);
    let (mut audit, mut changes) = Audit::start(plan, &mut reader)?;
    audit.until(stop, orders, &mut changes, &mut reader).await?;
    audit.hear(&mut changes, &mut reader)?;
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
    /// As soon as its like let it ([`Pace`]).
    InTurn,
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
    cgroup: CgroupHooks,
    gaps: Gaps,
    publisher: Publisher,
    sightings: Sightings,
    counters: Counters,
    ledger: Ledger<Key>,
    pace: Pace,
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
    fn start(plan: Plan, sink: &mut dyn Sink) -> Result<(Self, Changes)> {
        if plan.namespaces.is_empty() && !plan.wanted.may_be_more() {
            bail!("there is no network namespace to audit");
        }
        raise_descriptor_limit();
        let btf = aya::Btf::from_sys_fs()
            .context("the kernel's types cannot be read; `pinif doctor` tells what it lacks")?;
        let persist = plan.persist.map(Rc::new);
        let offsets = kernel_types::offsets()?;
        let mut ebpf = load(&offsets, plan.log_level, &btf, persist.as_deref())?;
        if plan.log_level > 0 {
            logs::follow(&mut ebpf)?;
        }
        let mut publisher = Publisher::open(&mut ebpf)?;
        let told = lives::enforced_until(&publisher, &plan.policy, persist.as_deref());
        let enforcement = Enforcement::resume(plan.enforce, told, monotonic());
        if !enforcement.is_on() && publisher.enforces(monotonic()) {
            let text =
                "the earlier collector dropped leaks; without --enforce they leave from now on";
            sink.note(Level::Warning, text)?;
        }
        publisher.enforce(enforcement.until())?;
        let counters = Counters::open(&mut ebpf)?;
        let sightings = Sightings::open(&mut ebpf)?;
        let bypasses = Bypasses::open(&mut ebpf)?;
        let earlier = Earlier::read(persist.as_deref(), &counters)?;
        let mut arrivals = Arrivals::open(&mut ebpf)?;
        arrivals.forget_all();
        let following = Following::new(
            plan.wanted,
            plan.attach,
            load_traffic(&mut ebpf)?,
            Watch::open().context("mounts of network namespaces cannot be watched")?,
            arrivals,
            persist.clone(),
        );
        let unresolved = lives::put_into_force(
            &mut publisher,
            &plan.policy,
            persist.as_deref(),
            &plan.namespaces,
        )?;
        warn_of(&plan.policy, &unresolved, sink)?;
        let mut cgroup = CgroupHooks::attach(ebpf, &plan.cgroup, persist.as_deref())?;
        if let Err(error) = cgroup.mark_existing(&btf) {
            let text = format!("sockets from before may stay without a process: {error:#}");
            sink.note(Level::Warning, &text)?;
        }
        if let Err(error) = cgroup.prepare_bypassing(&btf) {
            let text = format!("sockets that send past TC egress may stay unknown: {error:#}");
            sink.note(Level::Warning, &text)?;
        }
        drop(btf);
        let mut audit = Self {
            earlier,
            namespaces: BTreeMap::new(),
            order: Vec::new(),
            past: lives::past(persist.as_deref(), &following),
            following,
            names: Names::with(persist.clone()),
            persist,
            cgroup,
            gaps: Gaps::new(bypasses),
            counts: false,
            policies: BTreeMap::from([(publisher.generation(), plan.policy)]),
            enforcement,
            objection: plan.objection,
            enforced_until: None,
            publisher,
            sightings,
            counters,
            ledger: Ledger::new(),
            pace: Pace::new(),
            interfaces: plan.interfaces,
            duration: plan.duration,
            fail_on: plan.fail_on,
            started: Instant::now(),
            searches: Searches::start(),
            foreseeing: Foreseeing::new(plan.foresee),
        };
        let mut changes = Changes::new();
        if let Some(policy) = audit.policies.values().next() {
            audit.warn_of_idle_rules(policy, sink)?;
        }
        let mut starting = Starting::new(sink);
        audit.take_in_all(plan.namespaces, &mut changes, &mut starting)?;
        let found = starting.found();
        audit.sweep();
        audit.started = audit.began();
        audit.begin_enforcing()?;
        sink.ready(&audit.ready(plan.attach))?;
        for finding in found {
            sink.finding(&finding, true)?;
        }
        audit.settle(sink)?;
        audit.ask_to_confirm(sink)?;
        audit.look_for_all_gaps(true, sink)?;
        Ok((audit, changes))
    }

    fn ready(&self, attach: Mode) -> Ready {
        let namespaces = self
            .order
            .iter()
            .filter_map(|netns| self.namespaces.get(netns));
        Ready {
            interfaces: namespaces
                .clone()
                .flat_map(|namespace| {
                    namespace
                        .network
                        .links
                        .iter()
                        .filter(|link| namespace.hooks.has(link.index))
                        .map(|link| link.name.clone())
                })
                .collect(),
            netns: self
                .order
                .iter()
                .map(|netns| self.following.name(*netns))
                .collect(),
            kernel: nix::sys::utsname::uname().map_or_else(
                |_| String::new(),
                |name| name.release().to_string_lossy().into_owned(),
            ),
            attach: match attach {
                Mode::Tcx => Attach::Tcx,
                Mode::Clsact => Attach::Clsact,
            },
            enforce: self.enforcement.is_on(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    async fn until(
        &mut self,
        stop: impl Future<Output = ()>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        changes: &mut Changes,
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
            let has_findings = self.counts;
            let gaps_due = self.gaps.due();
            let enforced_until = self.enforced_until;
            let resting = self.pace.rests_until();
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = &mut over => return Ok(()),
                () = at(enforced_until) => self.end_enforcing(sink)?,
                outcome = self.sightings.next(|record| seen.push(record)), if resting.is_none() => {
                    outcome.context("the ring buffer cannot be read")?;
                    self.hear(changes, sink)?;
                    for SightingRecord { key, sighting } in seen {
                        self.sight(&key, &sighting, When::InTurn, sink)?;
                    }
                }
                () = tokio::time::sleep_until(resting.unwrap_or(next_read).into()), if resting.is_some() => {
                    self.pace.wakes();
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
                    Order::Note(level, text) => sink.note(level, &text)?,
                },
                (key, process) = self.searches.next() => self.correct(&key, process),
                step = self.foreseeing.next() => self.foresee(step, sink)?,
                () = tokio::time::sleep_until(next_read.into()), if has_findings => {
                    next_read = Instant::now() + READ_EVERY;
                    self.hear(changes, sink)?;
                    self.read_findings(When::InTurn, sink)?;
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
    fn hear(&mut self, changes: &mut Changes, sink: &mut dyn Sink) -> Result<()> {
        while let Some(Some((netns, news))) = changes.next().now_or_never() {
            self.learn(netns, news, sink)?;
        }
        Ok(())
    }

    /// Enters a finding into the ledger and shows it; later, where it is one of very many.
    fn sight(
        &mut self,
        key: &FindingKey,
        sighting: &Sighting,
        when: When,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        if self.ledger.contains(&Key::Counted(*key)) {
            return Ok(());
        }
        if when == When::InTurn && !self.pace.admits(key, sighting, Instant::now()) {
            self.counts = true;
            return Ok(());
        }
        // Without a counter it is of an interface that is gone, whose account is closed.
        let Some(FindingValue { count, .. }) = self.counters.finding(key) else {
            return Ok(());
        };
        let Some(sighted) = decode(key, sighting) else {
            return Ok(());
        };
        let process = enrich::process(&sighted);
        if let Some(finding) = self.describe(key, &sighted, process, count, None)
            && let Some(finding) =
                self.ledger
                    .sighted(Key::Counted(*key), finding, self.started.elapsed())
        {
            self.counts = true;
            sink.finding(&finding, true)?;
            let namespace = self.namespaces.get(&key.netns);
            let suspect =
                namespace.and_then(|namespace| enrich::suspect(&sighted, namespace.hooks.netns()));
            if let Some(suspect) = suspect {
                self.searches.ask(*key, suspect);
            }
        }
        Ok(())
    }

    /// Names another process than the one that was taken to have the socket.
    fn correct(&mut self, key: &FindingKey, process: Process) {
        let first = self.counters.finding(key);
        let again = first
            .and_then(|first| Some((decode(key, &first.sighting)?, first.count)))
            .and_then(|(sighted, count)| {
                self.describe(key, &sighted, Some(process.clone()), count, None)
            });
        self.ledger.refine(&Key::Counted(*key), |finding| {
            finding.process = Some(process);
            if let Some(again) = again {
                finding.explanation = again.explanation;
            }
        });
    }

    /// A finding in words. One whose account was `closed` has the names of then.
    fn describe(
        &mut self,
        key: &FindingKey,
        sighted: &Sighted,
        process: Option<Process>,
        count: Count,
        closed: Option<&ClosedFinding>,
    ) -> Option<Finding> {
        let empty = Policy::default();
        let known = self.policies.get(&sighted.generation);
        let names = &self.names;
        let name = |index: IfIndex| {
            let then = closed.and_then(|closed| closed.names.of(index, key.egress, key.bound));
            then.map_or_else(|| names.of(key.netns, index), str::to_owned)
        };
        // One that is gone since an earlier life has a name, and nothing that it could be asked for.
        let nothing = Network::default();
        let (network, hooks, running, mut oracle) = match self.namespaces.get_mut(&key.netns) {
            Some(namespace) => (
                &namespace.network,
                Some(&namespace.hooks),
                Some(&namespace.running),
                Some(&mut namespace.oracle),
            ),
            None if self.following.knows(key.netns) && !self.earlier.awaits(key.netns) => {
                (&nothing, None, None, None)
            }
            None => return None,
        };
        let netns = self.following.name(key.netns);
        let gone = names.gone_from(key.netns);
        let scene = Scene {
            gone: &gone,
            netns: &netns,
            network,
            policy: known.unwrap_or(&empty),
            name: &name,
            entrance: &|interface| entrance::read(hooks?.netns(), interface),
            runs: &|interface| running?.is(interface),
        };
        let mut finding = enrich::finding(
            match closed {
                Some(closed) => Names::id(key, closed.predecessors),
                None => self.names.finding_id(key),
            },
            sighted,
            process,
            count,
            wall_clock(sighted.time),
            &scene,
            &mut |query| match &mut oracle {
                Some(oracle) => oracle.choose(query, &network.links),
                None => Err(RouteError::Unreachable(query.destination)),
            },
        );
        if known.is_none() && sighted.rule.is_some() {
            finding.explanation.push_str(OF_AN_EARLIER_LIFE);
        }
        Some(finding)
    }

    /// Reads every finding's counter, also of those whose sighting was lost.
    fn read_findings(&mut self, when: When, sink: &mut dyn Sink) -> Result<()> {
        let mut batches = self.counters.findings()?;
        while let Some(batch) = batches
            .next()
            .context("the findings cannot be read from their map")?
        {
            for (key, FindingValue { count, sighting }) in batch {
                let known = Key::Counted(key);
                if !self.ledger.counted(&known, count.packets, count.bytes) {
                    self.sight(&key, &sighting, when, sink)?;
                }
            }
        }
        Ok(())
    }

    fn show_due(&mut self, sink: &mut dyn Sink) -> Result<()> {
        for finding in self.ledger.due(self.started.elapsed()) {
            sink.finding(&finding, false)?;
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
            namespace.watch_arrivals(&wanted, sink)?;
        }
        let networks: Vec<_> = self
            .namespaces
            .iter()
            .map(|(&netns, namespace)| (netns, &namespace.network))
            .collect();
        lives::note_next(&self.publisher, &policy, self.persist.as_deref())?;
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
        for finding in self.ledger.rest() {
            sink.finding(&finding, false)?;
        }
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
        let incomplete = losses.iter().any(|(loss, _)| loss.loses_counts());
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

/// A moment of `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` tells it, on the wall clock.
fn wall_clock(time: u64) -> SystemTime {
    SystemTime::now() - monotonic().saturating_sub(Duration::from_nanos(time))
}

/// Ready at this time; never, if there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Each interface takes a descriptor: as many as the system allows.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
