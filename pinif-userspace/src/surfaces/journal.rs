//! For the journal of a service: one line a finding on standard error, each with its priority (sd-daemon(3)).

use std::io::{self, Stderr, Write};
use std::time::{Duration, Instant};

use pinif_ebpf::loss::Loss;
use pinif_ebpf::verdict::Severity;

use super::conclusion::conclusion;
use super::level::Level;
use super::lines::Unbuffered;
use super::look::Look;
use super::notes::Notes;
use super::shown::{Show, Shown};
use super::surface::Surface;
use super::{matrix, phrase};
use crate::findings::alert_state::AlertState;
use crate::findings::explain;
use crate::findings::finding::Finding;
use crate::findings::kinds;
use crate::findings::latent::Latent;
use crate::findings::line::FindingLine;
use crate::findings::matrix::Matrix;
use crate::findings::ready::Ready;
use crate::findings::summary::Summary;
use crate::hub::Change;
use crate::text::escape::visible;
use crate::text::words::counted;

/// Lines with priorities.
pub struct Journal<E> {
    lines: Notes<E>,
    clock: Box<dyn Fn() -> Duration + Send>,
    shown: Shown,
    latent: u64,
}

impl Journal<Unbuffered<Stderr>> {
    /// On standard error.
    pub fn standard() -> Self {
        let start = Instant::now();
        Self::new(Unbuffered(io::stderr()), move || start.elapsed())
    }
}

impl<E: Write> Journal<E> {
    /// On any stream; `clock` gives the time since any start; it only limits how often a finding is shown again.
    pub fn new(to: E, clock: impl Fn() -> Duration + Send + 'static) -> Self {
        Self {
            lines: Notes::journal(to),
            clock: Box::new(clock),
            shown: Shown::sparing(),
            latent: 0,
        }
    }

    /// A line of a finding. All of it is made safe here, once more: a newline would begin a line with its own priority.
    fn say(&mut self, finding: &Finding, text: &str) {
        let (priority, severity) = (priority(finding), finding.severity.name());
        let line = format!(
            "{severity} {}: {text}. Finding {}.",
            finding.kind.name(),
            finding.id
        );
        self.lines.line(&format!("<{priority}>{}", visible(&line)));
    }
}

impl<E: Write + Send> Surface for Journal<E> {
    fn name(&self) -> &'static str {
        "the journal"
    }

    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.lines.note(Level::Info, &phrase::ready(ready));
        Ok(())
    }

    fn finding(&mut self, finding: &Finding, _: Change) -> io::Result<()> {
        let text = match self.shown.take(finding, (self.clock)()) {
            Show::Whole => {
                let accepted = phrase::accepted(finding);
                let accepted = accepted.map_or_else(String::new, |text| format!(". It is {text}"));
                let line = FindingLine::from(finding);
                format!("{}{accepted}", whole(&phrase::headline(finding), &line))
            }
            Show::Growth => phrase::growth(finding),
            Show::State => phrase::state(finding),
            Show::Change => format!(
                "{}. Cause: {}",
                phrase::growth(finding),
                explain::cause(finding)
            ),
            Show::Related => phrase::related(finding),
            Show::Part => phrase::part(finding),
            Show::Nothing => return Ok(()),
        };
        self.say(finding, &text);
        Ok(())
    }

    fn foreseen(&mut self, latent: &Latent) -> io::Result<()> {
        self.latent += 1;
        let text = whole(&phrase::latent(latent), &latent.into());
        self.say(&latent.finding, &text);
        Ok(())
    }

    fn uncounted(&mut self, loss: Loss, number: u64) -> io::Result<()> {
        let text = format!("Uncounted: {}", phrase::lost_by(loss, number));
        self.note(Level::Warning, &text)
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        for row in self.shown.rows() {
            if !kinds::is_counted(row.kind) {
                let line = format!(
                    "{} {}: {} on {} in {}: not seen.",
                    row.severity.name(),
                    row.kind.name(),
                    row.sender,
                    row.egress_interface(),
                    row.netns()
                );
                self.lines.note(Level::Info, &line);
                continue;
            }
            let line = format!(
                "{} {}: {}: {}, {} {} {} in {} in all.",
                row.severity.name(),
                row.kind.name(),
                row.sender,
                counted(row.packets, "packet"),
                counted(row.bytes, "byte"),
                if row.dropped { "dropped at" } else { "via" },
                row.egress_interface(),
                row.netns()
            );
            self.lines.note(Level::Info, &line);
        }
        for matrix in Matrix::of(&summary.matrix, |cell, kind| {
            self.shown.severity(cell, kind)
        }) {
            for line in matrix::render(&matrix, Look::PLAIN, None).lines() {
                self.lines.note(Level::Info, line);
            }
        }
        for lost in phrase::lost(&summary.uncounted) {
            self.lines
                .note(Level::Warning, &format!("Uncounted: {lost}"));
        }
        let verdict = conclusion(self.shown.rows(), summary);
        let verdict = format!("{verdict}{}", phrase::foreseen(self.latent));
        self.lines.note(Level::Info, &verdict);
        Ok(())
    }

    fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        self.lines.note(level, text);
        Ok(())
    }

    fn lost(&self) -> u64 {
        self.lines.lost()
    }
}

/// All of a finding: its headline, and where, why, what fixes it.
fn whole(headline: &str, finding: &FindingLine) -> String {
    let rule = finding.rule.as_ref();
    let rule = rule.map_or_else(String::new, |rule| format!(". Rule: {rule}"));
    let related = phrase::with_it(finding);
    let related = related.map_or_else(String::new, |related| format!(". With it: {related}"));
    format!(
        "{headline} in {}. Cause: {}. Fix: {}{rule}{related}",
        finding.netns, finding.cause, finding.remedy
    )
}

/// The journal's priority (syslog(3)): critical, warning, notice; informational, where nobody is to look at it now.
fn priority(finding: &Finding) -> u8 {
    match (finding.state, finding.severity) {
        (AlertState::Quiet | AlertState::Accepted, _) => 6,
        (AlertState::Open, Severity::Leak) => 2,
        (AlertState::Open, Severity::Risk) => 4,
        (AlertState::Open, Severity::Note) => 5,
    }
}
