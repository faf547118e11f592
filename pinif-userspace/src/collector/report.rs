//! What was found is published: at its first packet, and again as it grows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use pinif_ebpf::{
    key::IfIndex,
    sighting::{FindingKey, FindingState, FindingValue, Sighting},
};

use super::{
    audit::{Audit, When},
    deliveries::{has_arrived, is_undelivered},
    describe::others_of,
    key::Key,
    ledger::Due,
    moment::Moment,
    rulesets::Late,
};
use crate::{
    findings::{
        cause::{Changed, Passages, with_rules},
        decode::{Sighted, decode},
        enrich,
        finding::Finding,
        process::Process,
        samples::Samples,
    },
    hub::{Change, Event},
    kernel::persist::Seen,
};

/// The other destinations of no more findings than these are asked about at one reading: a tenth of a second's worth, where each has the
/// most that are known, for the control socket waits meanwhile. The others wait for the next, a second later.
pub(super) const ASKED_AT_ONCE: u32 = 64;

impl Audit {
    /// Enters a finding into the ledger and shows it; later, where it is one of very many.
    pub(super) fn on_sighting(&mut self, key: &FindingKey, sighting: &Sighting, when: When) {
        if self.ledger.contains(&Key::Counted(*key)) {
            return;
        }
        if when == When::RateLimited && !self.rate_limit.admits(key, sighting, Instant::now()) {
            self.counts = true;
            self.pace.wake();
            return;
        }
        // Without a counter it is of an interface that is gone, and is archived.
        let Some(value) = self.counters.value(key) else {
            return;
        };
        if self.hooks.hears() && is_undelivered(key, &value) {
            // Perhaps it is dropped before it comes to its socket: it is looked again.
            self.counts = true;
            return;
        }
        let state = value.state;
        let Some(sighted) = decode(key, sighting) else {
            return;
        };
        let process = enrich::process(&sighted);
        let now = Moment::now();
        let Some(mut finding) = self.describe(key, &sighted, process, state.count, None) else {
            return;
        };
        // It may have been sent elsewhere since its first packet, and no reading may follow.
        if let Some(others) = others_of(&finding, &state) {
            self.ask_about(|audit| {
                let known = audit.ask_others(key, &sighted, &finding, &others);
                if let Some((causes, ways)) = known {
                    (finding.causes, finding.ways) = (causes, ways);
                }
                true
            });
        }
        let seen = self.last_seen(&finding, &sighted, now);
        let entry = Key::Counted(*key);
        finding.accepted = self.accepted(&entry, &finding);
        let entered = self
            .ledger
            .sighted(entry.clone(), finding, seen, now.monotonic);
        let Some(finding) = entered else {
            return;
        };
        self.counts = true;
        self.pace.wake();
        self.remember_seen(&finding, seen.monotonic);
        if self.is_of_its_own(key, &state)
            && let Some(place) = self.ledger.place(&entry)
        {
            // What it answers may have been entered before it.
            let finding = self.ledger.finding_at(place);
            self.show(Some(&entry), finding, Change::Opened);
        }
        let namespace = self.namespaces.get(&key.netns);
        let suspect =
            namespace.and_then(|namespace| enrich::suspect(&sighted, namespace.hooks.netns()));
        if let Some(suspect) = suspect {
            self.searches.ask(*key, suspect);
        }
    }

    /// Takes the process that has a finding's socket, where it is another than the one that was taken to have it.
    pub(super) fn on_process(&mut self, key: &FindingKey, process: Process) {
        let first = self.counters.finding(key);
        let sighted = first.and_then(|first| decode(key, &first.sighting));
        let subject = sighted.map(|sighted| {
            let names = &self.names;
            let name = |index: IfIndex| names.interface(key.netns, index);
            enrich::subject(&sighted, Some(&process), &name, &mut self.shared)
        });
        let process = self.shared.processes.one(process);
        self.ledger.refine(&Key::Counted(*key), |finding| {
            finding.process = Some(process);
            if subject.is_some() {
                finding.subject = subject;
            }
        });
    }

    /// Takes rules of nftables that were not there when findings asked for them.
    pub(super) fn on_rules(&mut self, late: &Late) {
        for key in &late.findings {
            let causes = &mut self.shared.causes;
            let first = self.counters.finding(key);
            let sighted = first.and_then(|first| decode(key, &first.sighting));
            self.ledger.refine(&Key::Counted(*key), |finding| {
                let passages = sighted.as_ref().map_or_else(Passages::any, |sighted| {
                    Passages::of(sighted, Changed::of(&finding.causes, &finding.ways))
                });
                let known = with_rules(&finding.causes, key.egress, &passages, &late.rules);
                if let Some(known) = known {
                    finding.causes = causes.one(known);
                }
            });
        }
    }

    /// Reads every finding's counter, also of those whose sighting was lost.
    pub(super) fn read_findings(&mut self, when: When) -> Result<()> {
        self.read_findings_and(when, |_| Ok(()))
    }

    /// The same, with something done after each that is new here: there may be thousands of them.
    pub(super) fn read_findings_and(
        &mut self,
        when: When,
        mut after_each: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let mut batches = self.counters.findings()?;
        let hears = self.hooks.hears();
        (self.findings, self.counted) = (0, 0);
        self.asked = 0;
        while let Some(batch) = batches
            .next()
            .context("the findings cannot be read from their map")?
        {
            let now = Moment::now();
            let mut new = Vec::new();
            for (key, value) in batch {
                self.findings += 1;
                self.counted = self.counted.wrapping_add(sum(&value));
                if hears && has_arrived(&key) && !self.deliveries.grew(&key, value.delivered) {
                    continue;
                }
                let state = value.state;
                let entry = Key::Counted(key);
                if !self.ledger.counted(&entry, state.count, now) {
                    new.push((key, state));
                    continue;
                }
                self.ask_about(|audit| {
                    let is_asked = audit.on_destinations(&key, &state);
                    audit.on_growth(&key, &state) || is_asked
                });
                self.take_state(&entry, &key, &state, now);
            }
            // The table has no order, and people read them by time.
            new.sort_by_key(|(_, state)| state.sighting.time);
            for (key, state) in new {
                self.on_sighting(&key, &state.sighting, when);
                after_each(self)?;
                self.take_state(&Key::Counted(key), &key, &state, now);
            }
        }
        if self.asked > 0 {
            // There may be more of them, for the next reading.
            self.pace.wake();
        }
        self.relate_grown();
        Ok(())
    }

    /// Has the machine asked about a finding, where that was not done for too many since the last reading began. `ask` answers whether it was.
    fn ask_about(&mut self, ask: impl FnOnce(&mut Self) -> bool) {
        if self.asked < ASKED_AT_ONCE {
            self.asked += u32::from(ask(self));
        }
    }

    /// Takes what was read of a finding beside its count.
    fn take_state(&mut self, entry: &Key, key: &FindingKey, state: &FindingState, now: Moment) {
        self.judge_still(entry, state);
        if key.dropped != 0 {
            // A group that is not joined is no packet, and may be another one.
            self.ledger.sampled(entry, state.samples.number(), now);
        }
    }

    pub(super) fn show_due(&mut self) {
        let now = Moment::now().monotonic;
        self.ledger.quieten(now);
        let due: Vec<_> = self.ledger.due(now).collect();
        self.show_again(due);
    }

    /// When a finding was last seen that is new here, as far as its counters show: at its first packet, where that is the only one;
    /// where a previous instance has read the same counts, when it has seen them grow; and otherwise now, for it has grown since
    /// either.
    pub(super) fn last_seen(&self, finding: &Finding, sighted: &Sighted, now: Moment) -> Moment {
        let persist = self.persist.as_ref();
        let before = persist.and_then(|persist| persist.seen(finding.id.0));
        match before.filter(|before| before.packets == finding.packets) {
            Some(before) => now.before(before.at),
            None if finding.packets <= 1 => now.before(Duration::from_nanos(sighted.time)),
            None => now,
        }
    }

    /// Writes for the next instance when a finding was last seen.
    fn remember_seen(&self, finding: &Finding, at: Duration) {
        if let Some(persist) = &self.persist {
            let packets = finding.packets;
            persist.remember_seen(finding.id.0, Seen { packets, at });
        }
    }

    /// Publishes findings that have grown, or of which more is known.
    pub(super) fn show_again(&mut self, due: Vec<Due<Key>>) {
        for Due {
            key,
            finding,
            seen_at,
            change,
        } in due
        {
            self.remember_seen(&finding, seen_at);
            self.show(key.as_ref(), finding, change);
        }
    }

    /// Publishes a finding, with what it has seen by now. One without a key is closed, and has that with it.
    pub(super) fn show(&mut self, key: Option<&Key>, mut finding: Finding, change: Change) {
        if let Some(mut samples) = key.and_then(|key| self.samples(key)) {
            samples.correct(finding.process.as_deref());
            finding.samples = Some(Arc::new(samples));
        }
        if change == Change::Opened {
            self.growing.opened(&finding);
        }
        self.hub.publish(Event::Finding(Arc::new(finding), change));
    }

    /// What an open finding has seen by now.
    pub(super) fn samples(&self, key: &Key) -> Option<Samples> {
        match key {
            Key::Counted(key) => {
                let counted = self.counters.finding(key)?;
                Some(Samples::of(&counted.samples))
            }
            Key::Gap(gap) => self.gaps.samples(gap),
        }
    }
}

/// What a finding has counted, in one number.
fn sum(value: &FindingValue) -> u64 {
    let count = value.state.count;
    let of_all = count.packets.wrapping_add(value.delivered.into());
    of_all.wrapping_add(count.bytes)
}
