//! Enforcing: when it begins, is confirmed, and undoes itself.

use std::time::{Duration, Instant};

use anyhow::Result;
use pinif_ebpf::enforce::Action;

use super::Audit;
use crate::{
    collector::enforcement::Confirmed,
    kernel::clock::monotonic,
    policy::Policy,
    surfaces::{Level, Sink},
    text::words::duration,
};

impl Audit {
    /// Has leaks dropped from now on, if that was asked for: until now, the time began when the first program was attached.
    pub(super) fn begin_enforcing(&mut self) -> Result<()> {
        self.enforcement.begin(monotonic());
        self.publisher.enforce(self.enforcement.until())?;
        // Computed last: no sooner than the kernel's own.
        self.enforced_until = self
            .enforcement
            .ends_in(monotonic())
            .and_then(|rest| Instant::now().checked_add(rest));
        Ok(())
    }

    /// Tells how to keep what would else undo itself.
    pub(super) fn ask_to_confirm(&self, sink: &mut dyn Sink) -> Result<()> {
        if let Some((time, confirm)) = self.enforcement.to_confirm() {
            // Less, where an earlier collector began it.
            let rest = self.enforcement.ends_in(monotonic()).unwrap_or(time);
            let time = time.min(Duration::from_secs(rest.as_secs() + 1));
            let text = format!(
                "leaks are dropped for {}, and then only told, unless you confirm it: {confirm}",
                duration(time)
            );
            sink.note(Level::Info, &text)?;
        }
        Ok(())
    }

    /// The operator confirmed it.
    pub(super) fn confirm_enforcing(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let end = if self.persist.is_some() {
            "`pinif detach`"
        } else {
            "pinif ends"
        };
        let (level, text) = match self.enforcement.confirm(monotonic()) {
            Confirmed::Now => {
                self.publisher.enforce(self.enforcement.until())?;
                self.enforced_until = None;
                let text = format!("confirmed: leaks are dropped until {end}");
                (Level::Info, text)
            }
            Confirmed::Already => {
                let text = format!("there is nothing to confirm: leaks are dropped until {end}");
                (Level::Info, text)
            }
            Confirmed::TooLate => {
                let text = "it is too late to confirm: nothing is dropped any more; start pinif audit --enforce anew";
                (Level::Warning, text.to_owned())
            }
        };
        sink.note(level, &text)?;
        Ok(())
    }

    /// The kernel has ceased to drop by itself; this tells of it.
    pub(super) fn end_enforcing(&mut self, sink: &mut dyn Sink) -> Result<()> {
        self.enforcement.end();
        self.enforced_until = None;
        self.publisher.enforce(self.enforcement.until())?;
        let text = "not confirmed in time: nothing is dropped any more, leaks are told and leave";
        sink.note(Level::Warning, text)?;
        Ok(())
    }

    /// Tells of rules that drop, where nothing is dropped.
    pub(super) fn warn_of_idle_rules(&self, policy: &Policy, sink: &mut dyn Sink) -> Result<()> {
        if self.enforcement.is_on() {
            return Ok(());
        }
        let rules = policy.rules.iter();
        let names: Vec<&str> = rules
            .filter(|rule| rule.action == Action::Drop)
            .map(|rule| rule.name.as_str())
            .collect();
        let subject = match names[..] {
            [] => return Ok(()),
            [name] => format!("rule {name} has"),
            _ => format!("rules {} have", names.join(", ")),
        };
        let text = format!("{subject} action = \"drop\", and nothing is dropped without --enforce");
        sink.note(Level::Warning, &text)?;
        Ok(())
    }
}
