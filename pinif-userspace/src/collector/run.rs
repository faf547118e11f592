//! The only wiring: host, kernel, ledger and hub, from start to summary.
//!
//! What the kernel sees wakes the collector. What it counted and lost is read from its maps once a second while it counts
//! (`pace.rs`), or when a subscriber wants to see how it stands; with each look at what is attached (`integrity.rs`), which is awake anyway; and
//! at the end. Changes of the host's interfaces go the other way, into the maps.

use std::{
    future::ready,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use pinif_ebpf::{sighting::SightingRecord, verdict::Severity, wake::Sleeper};
use tokio::sync::mpsc;

use super::{
    audit::{Audit, When},
    capturing::Capturing,
    enforcement,
    fail_on::exit_status,
    gaps,
    learning::Learning,
    netlink_events::NetlinkEvents,
    orders::Orders,
    pace::{READ_EVERY, Sums},
    plan::{Order, Plan},
    report::ASKED_AT_ONCE,
    timer::{TOGETHER, Timer},
    totals, waiting,
};
use crate::{
    findings::summary::Summary,
    hub::{Event, Hub, Notice},
    kernel::{clock::monotonic, grace::wait_for_running_programs},
};

/// How many questions are answered before whatever else has happened is looked at.
const QUESTIONS: usize = 16;
/// How long the end asks about the other destinations of findings, then waits for processes that are still looked for, and then for rules that
/// are still read.
const SEARCH_PATIENCE: Duration = Duration::from_secs(1);

/// Audits until the first of `stops`, until the plan's time is over or until the hub says that a reader has left, and returns the
/// exit status. A second stop gives up what is not shown yet.
///
/// # Errors
///
/// When the kernel refuses what an audit needs.
pub async fn run(
    plan: Plan,
    orders: mpsc::UnboundedReceiver<Order>,
    hub: Arc<Hub>,
    stops: impl Stream<Item = ()>,
) -> Result<u8> {
    tokio::pin!(stops);
    // It may end, and nothing ends the audit then.
    let mut stops = stops.chain(stream::pending());
    let (fail_on, hub_of_audit) = (plan.fail_on, Arc::clone(&hub));
    let ended = audit(plan, orders, hub_of_audit, stops.next().map(drop)).await;
    // What was published is shown also where the audit failed.
    let unshown = hub.close(stops.next().map(drop)).await;
    let Ended { worst, incomplete } = ended?;
    Ok(exit_status(fail_on, worst, incomplete || unshown > 0))
}

async fn audit(
    plan: Plan,
    orders: mpsc::UnboundedReceiver<Order>,
    hub: Arc<Hub>,
    stop: impl Future<Output = ()>,
) -> Result<Ended> {
    let (mut audit, mut changes) = Audit::start(plan, Orders::new(orders), hub)?;
    let audited = audit.until(stop, &mut changes).await;
    let checked = audit.check_integrity(&mut changes);
    // There is a summary, whatever failed.
    let ended = audit.end().await;
    audit.orders.close();
    audit.detach();
    audited.and(checked)?;
    ended
}

/// How an audit ended.
struct Ended {
    worst: Option<Severity>,
    incomplete: bool,
}

impl Audit {
    async fn until(
        &mut self,
        stop: impl Future<Output = ()>,
        changes: &mut NetlinkEvents,
    ) -> Result<()> {
        tokio::pin!(stop);
        // A time so long that there is no such moment has no end.
        let end = self
            .duration
            .and_then(|duration| Instant::now().checked_add(duration));
        let hub = Arc::clone(&self.hub);
        let reader_left = hub.reader_left();
        tokio::pin!(reader_left);
        let mut timer = Timer::new()?;
        loop {
            let mut seen = Vec::new();
            let mut arrivals = Vec::new();
            let mut bypasses = Vec::new();
            let mut woken = Vec::new();
            let mut learners = Vec::new();
            let mut captured = Vec::new();
            let resting = self.rate_limit.rests_until();
            let due = self.due(Instant::now()).chain(end).min();
            let mut is_idle = false;
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = &mut reader_left => return Ok(()),
                // Before the ring buffer, which a flood keeps full.
                outcome = timer.at(due) => {
                    outcome.context("the timer cannot be waited for")?;
                    if end.is_some_and(|end| Instant::now() >= end) {
                        return Ok(());
                    }
                    is_idle = self.on_time(changes)?;
                }
                outcome = self.sightings.next(|record| seen.push(record)), if resting.is_none() => {
                    outcome.context("the ring buffer cannot be read")?;
                    self.waiting.add(seen);
                    self.report_waiting(changes)?;
                }
                outcome = Capturing::next(&mut self.capturing, |packet| captured.push(packet)) => {
                    outcome.context("the ring buffer of captured packets cannot be read")?;
                    // Of the interface, the name is known by then.
                    self.drain_events(changes)?;
                    self.on_captured(captured);
                    is_idle = true;
                }
                Some((netns, event)) = changes.next() => self.on_netlink_event(netns, event)?,
                outcome = self.following.arrivals.next(|arrival| arrivals.push(arrival)) => {
                    outcome.context("the ring buffer of namespaces cannot be read")?;
                    self.on_arrivals(&arrivals);
                }
                outcome = self.bypasses.next(|socket| bypasses.push(socket)) => {
                    outcome.context("the ring buffer of sockets that bypass cannot be read")?;
                    self.on_bypasses(bypasses);
                }
                outcome = Learning::next(&mut self.learning, |learner| learners.push(learner)) => {
                    outcome.context("the ring buffer of what is learned cannot be read")?;
                    self.on_learners(&learners);
                    is_idle = true;
                }
                outcome = self.wakes.next(|wake_up| woken.push(wake_up)) => {
                    outcome.context("the ring buffer of wake-ups cannot be read")?;
                    self.on_wake_ups(&woken);
                    is_idle = true;
                }
                gone = self.leaving.next() => self.on_left(&gone)?,
                () = self.places.next() => self.on_change_of_places(),
                () = self.following.watch.due() => {
                    // Mounts may have changed, too.
                    self.on_change_of_places();
                    self.look_for_namespaces(changes)?;
                }
                Some(order) = self.orders.next() => match order {
                    Order::Policy(policy) => self.reload(*policy)?,
                    Order::WrongPolicy(errors) => self.keep_policy(&errors),
                    Order::Confirm => self.enforce(enforcement::Input::Confirm)?,
                    Order::ReaderLeft => self.hub.publish(Event::ReaderLeft),
                    Order::Notice(notice) => self.hub.note(notice),
                    Order::Ask(question) => self.answer(question)?,
                },
                (key, process) = self.searches.next() => self.on_process(&key, process),
                late = self.rulesets.next() => self.on_rules(&late),
                step = self.foreseer.next(&self.foresight) => self.foresee(step),
                // Last, since a flood has some all the time.
                () = ready(()), if !self.waiting.is_empty() && resting.is_none() => self.report_waiting(changes)?,
            }
            // A flood of sightings never lets the branch above come to its turn.
            self.answer_questions()?;
            // What wakes it on time, and finds nothing, is no occasion.
            if !is_idle {
                self.on_gaps(gaps::Input::Awake);
            }
        }
    }

    /// Reports some of the first sightings that wait.
    fn report_waiting(&mut self, changes: &mut NetlinkEvents) -> Result<()> {
        self.drain_events(changes)?;
        self.on_waiting();
        Ok(())
    }

    /// Takes some of the first sightings that wait.
    pub(super) fn on_waiting(&mut self) {
        for _ in 0..waiting::AT_ONCE {
            let Some(SightingRecord { key, sighting }) = self.waiting.next(&mut self.sightings)
            else {
                break;
            };
            self.on_sighting(&key, &sighting, When::RateLimited);
        }
    }

    /// When something is to be done, whatever happens.
    fn due(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let on_time = [self.gaps.due(), self.integrity.due()].into_iter();
        let sometimes = [
            self.enforced_until,
            self.rate_limit.rests_until(),
            self.read_due(now),
        ];
        on_time.chain(sometimes.into_iter().flatten())
    }

    /// When the counters are read: a clean audit that nobody watches sleeps. So does one whose findings do not grow; when the next of them is quiet,
    /// or accepted no longer, that is reported.
    fn read_due(&self, now: Instant) -> Option<Instant> {
        // No sooner than a second after the last, whatever is due.
        let earliest = self.pace.read_at() + READ_EVERY;
        let waits = self.ledger.waits().then_some(earliest);
        let shown = self.hub.snapshot_due(earliest);
        let quiet = self.ledger.quiet_at();
        // What is over is due now, and no moment later than that.
        let quiet = quiet.map(|at| now + at.saturating_sub(monotonic()));
        let over = self.accepting.acceptance.rest(SystemTime::now());
        let over = over.and_then(|rest| now.checked_add(rest));
        let at = |due: Instant| due.max(earliest);
        let all = [waits, shown, self.pace.due(), quiet.map(at), over.map(at)];
        all.into_iter().flatten().min()
    }

    /// Does all of it that is due. The answer is whether nothing came of it.
    fn on_time(&mut self, changes: &mut NetlinkEvents) -> Result<bool> {
        let now = Instant::now();
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        let mut is_idle = true;
        if is_due(self.enforced_until) {
            self.enforce(enforcement::Input::TimeOver)?;
            is_idle = false;
        }
        if is_due(self.rate_limit.rests_until()) {
            self.rate_limit.wakes();
            is_idle = false;
        }
        let searches = is_due(Some(self.gaps.due()));
        if searches {
            self.on_gaps(gaps::Input::Due);
            is_idle = false;
        }
        // Where it is looked once a minute, that is together with the search for gaps.
        let looks =
            self.integrity.due() <= now + TOGETHER || searches && self.integrity.is_reported();
        if looks {
            is_idle &= !self.check_integrity(changes)?;
        }
        if looks || is_due(self.read_due(now)) {
            is_idle &= !self.read_counters(changes)?;
        }
        Ok(is_idle)
    }

    /// Answers questions that wait.
    pub(super) fn answer_questions(&mut self) -> Result<()> {
        for _ in 0..QUESTIONS {
            let Some(question) = self.orders.question() else {
                break;
            };
            self.answer(question)?;
        }
        Ok(())
    }

    fn has_findings(&self) -> bool {
        self.counts || self.ledger.waits()
    }

    /// The counters of findings, where there is one, and what was lost. The answer is whether there is a finding.
    fn read_counters(&mut self, changes: &mut NetlinkEvents) -> Result<bool> {
        if self.pace.falls_asleep(Instant::now()) {
            self.wakes.sleep(Sleeper::Counters)?;
        }
        self.accept_in_time(SystemTime::now());
        let has_findings = self.has_findings();
        if has_findings {
            self.drain_events(changes)?;
            self.read_findings_and(When::RateLimited, Self::answer_questions)?;
            self.show_due();
        }
        let losses = self.counters.losses()?;
        self.pace.take(Sums {
            findings: self.counted,
            losses: losses.iter().map(|(_, lost)| lost).sum(),
        });
        self.hub.publish_all(self.losses.on(&losses));
        self.publish_snapshot(losses)?;
        Ok(has_findings)
    }

    /// Takes what has happened to the enforcement, and writes what follows of it for the kernel.
    pub(super) fn enforce(&mut self, input: enforcement::Input<'_>) -> Result<()> {
        let events = self.enforcement.on(input, monotonic());
        self.publisher.enforce(self.enforcement.until())?;
        // Computed last: no sooner than the kernel's own.
        let rest = self.enforcement.ends_in(monotonic());
        self.enforced_until = rest.and_then(|rest| Instant::now().checked_add(rest));
        if !self.enforcement.is_on() {
            self.hooks.cease_to_refuse()?;
        }
        self.hub.publish_all(events);
        Ok(())
    }

    /// Takes the netlink events that wait, before findings are reported: the kernel says that a link went down before the
    /// first packet leaves elsewhere for it, so the cause is known by then.
    pub(super) fn drain_events(&mut self, changes: &mut NetlinkEvents) -> Result<()> {
        while let Some(Some((netns, event))) = changes.next().now_or_never() {
            self.on_netlink_event(netns, event)?;
        }
        Ok(())
    }

    /// Counts nothing any more, and publishes the exact totals. All is attached still.
    async fn end(&mut self) -> Result<Ended> {
        self.on_gaps(gaps::Input::Now(gaps::Look::LAST));
        let duration = self.started.elapsed();
        if self.persist.is_none() {
            self.hooks.cease_to_refuse()?;
            // From this instant on, nothing is counted anywhere.
            self.publisher.withdraw()?;
            self.following.entries.close()?;
        }
        // A packet that is inside the programs is counted to its end.
        wait_for_running_programs();
        let read = Instant::now();
        self.read_findings(When::Now)?;
        while self.asked >= ASKED_AT_ONCE && read.elapsed() < SEARCH_PATIENCE {
            self.read_findings(When::Now)?;
        }
        self.end_foreseeing().await;
        for (key, process) in self.searches.rest(SEARCH_PATIENCE).await {
            self.on_process(&key, process);
        }
        for late in self.rulesets.rest(SEARCH_PATIENCE).await {
            self.on_rules(&late);
        }
        let rest: Vec<_> = self.ledger.rest().collect();
        self.show_again(rest);
        self.end_capturing();
        let losses = self.counters.losses()?;
        let matrix = self.totals.matrix(&self.counters.cells()?, &self.names);
        let foreseen = self.foresight.foreseen();
        let findings = self.ledger.len() as u64 + foreseen.reported();
        let summary = Summary {
            policy: self.policy_size(),
            accepted: self.ledger.accepted(),
            ..totals::summary(duration, matrix, findings, &losses)
        };
        self.hub.publish(Event::Ended(Arc::new(summary)));
        if let Some(persist) = &self.persist {
            self.hub.note(Notice::StaysAttached {
                drops: self.enforcement.is_on(),
                directory: persist.directory().to_owned(),
            });
        }
        Ok(Ended {
            worst: self.ledger.worst().max(foreseen.worst()),
            incomplete: losses.iter().any(|(loss, _)| loss.loses_counts()),
        })
    }
}
