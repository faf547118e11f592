//! The start, where it takes long: a thousand interfaces take the kernel ten seconds. What leaks by those that are attached already is
//! reported meanwhile, and questions are answered.

use std::time::{Instant, SystemTime};

use anyhow::Result;

use super::{
    audit::{Audit, Beginning, When},
    pace::READ_EVERY,
};

impl Audit {
    /// Begins to count, unless it has: waits for the hooks, without which no packet's process is known.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a program, or all hooks.
    pub(super) fn begin(&mut self) -> Result<()> {
        if self.beginning == Beginning::Attaching {
            self.hooks.get(&mut self.following.entries)?;
            self.started = self.takeover.began(Instant::now());
            self.began = SystemTime::now() - self.started.elapsed();
            self.beginning = Beginning::Counting;
        }
        Ok(())
    }

    /// Reports what leaked while the first interfaces are attached and others are not yet, and each second what it grew to. Not where something is dropped, which begins
    /// everywhere at once, nor where a previous instance has counted, whose findings come first.
    ///
    /// # Errors
    ///
    /// As of [`Self::begin`].
    pub(super) fn report_early(&mut self) -> Result<()> {
        if self.beginning == Beginning::Over || self.enforcement.is_on() || self.persist.is_some() {
            return Ok(());
        }
        self.begin()?;
        self.hub.show_findings();
        self.on_waiting();
        let now = Instant::now();
        if self.pace.read_at() + READ_EVERY <= now {
            self.pace.read(now);
            self.read_findings(When::RateLimited)?;
            self.show_due();
        }
        Ok(())
    }

    /// Between two pieces of work that take the kernel long, also after the start: answers questions that wait, and gives a snapshot to
    /// those who want one by now; the service manager's watchdog waits for them.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn between_batches(&mut self) -> Result<()> {
        if self.beginning != Beginning::Over {
            return self.answer_early();
        }
        self.answer_questions()?;
        let now = Instant::now();
        if self.hub.snapshot_due(now).is_some_and(|due| due <= now) {
            let losses = self.counters.losses()?;
            self.publish_snapshot(losses)?;
        }
        Ok(())
    }

    /// Answers questions that wait. Not where the counts of a previous instance are taken over: until that is done, what is counted
    /// under the index of an interface may be another's.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn answer_early(&mut self) -> Result<()> {
        let persist = self.persist.as_ref();
        if persist.is_some_and(|persist| persist.takes_over()) {
            return Ok(());
        }
        self.answer_questions()
    }
}
