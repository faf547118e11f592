//! Who sleeps, and what wakes them: the kernel's word instead of a timer.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;
use pinif_ebpf::wake::{Sleeper, WakeUp};

use super::{audit::Audit, gaps, integrity};
use crate::{host::cgroups::is_root, kernel::clock::monotonic};

impl Audit {
    /// Takes who is to wake up.
    pub(super) fn on_wake_ups(&mut self, woken: &[WakeUp]) {
        for WakeUp { time, sleeper, .. } in woken {
            match Sleeper::of(*sleeper) {
                Some(Sleeper::Counters) => self.pace.wake(),
                Some(Sleeper::Attachments) => {
                    let ago = monotonic().saturating_sub(Duration::from_nanos(*time));
                    let now = Instant::now();
                    let since = now.checked_sub(ago).unwrap_or(now);
                    let happened = integrity::Input::Happened { since };
                    self.integrity.on(happened, now);
                }
                Some(Sleeper::Bypasses) => self.on_gaps(gaps::Input::Asked),
                None => {}
            }
        }
    }

    /// Takes that something has happened where a path leads to what is looked at.
    pub(super) fn on_change_of_places(&mut self) {
        if !self.paths().is_empty() {
            self.on_change();
        }
    }

    /// Takes that something of what is looked at may be another by now.
    pub(super) fn on_change(&mut self) {
        let since = Instant::now();
        let happened = integrity::Input::Happened { since };
        self.integrity.on(happened, since);
    }

    /// Has whatever changes what is attached be reported from here on, as far as can be: what was before is looked at after this.
    ///
    /// # Errors
    ///
    /// When a map cannot be written.
    pub(super) fn await_changes(&mut self) -> Result<()> {
        self.unreported = self.unheard(Sleeper::Attachments);
        self.places.follow(&self.paths());
        self.unreported
            .extend(self.places.failure().map(str::to_owned));
        self.wakes.sleep(Sleeper::Attachments)
    }

    /// The same of sockets that somebody asks to send past TC egress.
    ///
    /// # Errors
    ///
    /// When a map cannot be written.
    pub(super) fn await_bypasses(&mut self) -> Result<()> {
        self.unheard_bypasses = self.unheard(Sleeper::Bypasses);
        self.wakes.sleep(Sleeper::Bypasses)
    }

    /// Why what wakes one does not, now that it is tried.
    fn unheard(&mut self, sleeper: Sleeper) -> Vec<String> {
        let entries = &self.following.entries;
        match self.hooks.traced() {
            Some(traced) => traced.failures(sleeper, &mut self.wakes, entries),
            None => vec!["no function of the kernel is traced".to_owned()],
        }
    }

    /// Why what is attached is looked at every two seconds: something of it can change without a report. No reason where nothing can.
    pub(super) fn unreported(&self) -> Vec<String> {
        let reasons = self.unreported.iter().chain(&self.unheard_bypasses);
        let mut reasons: Vec<String> = reasons.cloned().collect();
        if self.gaps.has_bypassing() {
            reasons.push(
                "a socket that sends past TC egress can be bound to another interface".to_owned(),
            );
        }
        reasons
    }

    /// The paths to what is looked at.
    fn paths(&self) -> Vec<PathBuf> {
        let named = self.publisher.named.paths();
        let accepted = self.accepting.programs.paths();
        let mut paths: Vec<PathBuf> = named.chain(accepted).cloned().collect();
        if let Some(persist) = &self.persist {
            paths.extend(persist.pinned());
        }
        let cgroup = self.hooks.cgroup();
        paths.extend(cgroup.filter(|cgroup| !is_root(cgroup)).map(Path::to_owned));
        paths
    }
}
