//! For the journal of a service: an entry for each transition of a finding, with fields, by the journal's own protocol; and lines on
//! standard error, each with its priority (sd-daemon(3)), of all else, and of findings where nobody listens for entries.

mod fields;
mod message_id;
mod native;
mod transition;

use std::io::{self, Sink, Stderr, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use pinif_ebpf::loss::Loss;
use pinif_ebpf::verdict::Severity;

pub(crate) use self::fields::{machine, values};
pub use self::message_id::message_id;
use self::native::Native;
pub use self::native::SOCKET;
pub(crate) use self::transition::Transition;
use super::conclusion::conclusion;
use super::level::Level;
use super::lines::Unbuffered;
use super::look::Look;
use super::notes::Notes;
use super::shown::{Show, Shown};
use super::surface::Surface;
use super::{matrix, phrase};
use crate::findings::alert_state::AlertState;
use crate::findings::finding::Finding;
use crate::findings::kinds;
use crate::findings::latent::Latent;
use crate::findings::line::FindingLine;
use crate::findings::matrix::Matrix;
use crate::findings::ready::Ready;
use crate::findings::summary::Summary;
use crate::hub::Change;
use crate::text::escape::visible;
use crate::text::words::{counted, grouped};

/// How long an entry waits for room in the journal's queue, before it is lost. The collector does not wait for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Entries of findings, and lines with priorities.
pub struct Journal<E> {
    lines: Notes<E>,
    /// Where entries go; without it, all goes to the lines.
    entries: Option<Native>,
    /// The lines lead to the journal, too.
    has_lines: bool,
    /// Where to warn that entries are lost, but where that is the journal.
    warnings: Option<Notes<Unbuffered<Stderr>>>,
    /// The fields of the machine, in each entry of a finding.
    machine: Vec<(String, String)>,
    clock: Box<dyn Fn() -> Duration + Send>,
    shown: Shown,
    latent: u64,
}

impl Journal<Unbuffered<Stderr>> {
    /// The journal that standard error leads to, whose entries are taken at this socket, and have these fields of the machine.
    pub fn standard(socket: &Path, machine: Vec<(String, String)>) -> Self {
        let start = Instant::now();
        Self {
            machine,
            entries: Some(Native::at(socket, PATIENCE)),
            ..Self::new(Unbuffered(io::stderr()), move || start.elapsed())
        }
    }
}

impl Journal<Sink> {
    /// The journal that takes entries at this socket, with these fields of the machine, while people or programs are shown all of it
    /// elsewhere.
    pub fn beside(socket: &Path, machine: Vec<(String, String)>) -> Self {
        let start = Instant::now();
        Self {
            machine,
            entries: Some(Native::at(socket, PATIENCE)),
            has_lines: false,
            warnings: Some(Notes::standard()),
            ..Self::new(io::sink(), move || start.elapsed())
        }
    }
}

impl<E: Write> Journal<E> {
    /// Lines alone, on any stream; `clock` gives the time since any start; it only limits how often a finding is shown again.
    pub fn new(to: E, clock: impl Fn() -> Duration + Send + 'static) -> Self {
        Self {
            lines: Notes::journal(to),
            entries: None,
            has_lines: true,
            warnings: None,
            machine: Vec::new(),
            clock: Box::new(clock),
            shown: Shown::sparing(),
            latent: 0,
        }
    }

    /// Writes what is new of a finding. All of the text is made safe here, once more: a newline would begin a line with its own priority.
    fn say(&mut self, finding: &Finding, line: &FindingLine, transition: Transition, text: &str) {
        let (priority, severity) = (priority(finding), finding.severity.name());
        let text = format!(
            "{severity} {}: {text}. Finding {}.",
            finding.kind.name(),
            finding.id
        );
        let text = visible(&text);
        if let Some(entries) = &mut self.entries {
            let entry = fields::entry(line, transition, &self.machine, priority, &text);
            match entries.write(&entry, gap) {
                Ok(()) => return,
                // Nobody listens, as in a container that has the stream of its journal alone, or pinif may not write there.
                Err(error) if self.has_lines && error.kind() != io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    let is_first = entries.lose();
                    if let Some(warnings) = self.warnings.as_mut().filter(|_| is_first) {
                        warnings.note(Level::Warning, &lost(&error));
                    }
                    return;
                }
            }
        }
        self.lines.line(&format!("<{priority}>{text}"));
    }
}

/// That entries are lost from now on.
fn lost(error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::WouldBlock => "it does not read, and its queue is full".to_owned(),
        _ => error.to_string(),
    };
    format!(
        "the journal takes no entries: {why}; those of findings are lost and counted until it does, and the audit goes on"
    )
}

/// The entry that says how many are missing before it.
fn gap(lost: u64) -> native::Entry {
    let entries = match lost {
        1 => "1 entry of findings".to_owned(),
        lost => format!("{} entries of findings", grouped(lost)),
    };
    fields::note(4, &format!("{entries} could not be written here"))
}

impl<E: Write + Send> Surface for Journal<E> {
    fn name(&self) -> &'static str {
        "the journal"
    }

    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        if let Some(entries) = self.entries.as_mut().filter(|_| !self.has_lines) {
            entries.try_out()?;
        }
        self.lines.note(Level::Info, &phrase::ready(ready));
        Ok(())
    }

    fn finding(&mut self, finding: &Finding, _: Change) -> io::Result<()> {
        let show = self.shown.take(finding, (self.clock)());
        let Some(transition) = Transition::of(finding, show) else {
            return Ok(());
        };
        let line = FindingLine::from(finding);
        let text = match show {
            Show::Whole => {
                let accepted = phrase::accepted(finding);
                let accepted = accepted.map_or_else(String::new, |text| format!(". It is {text}"));
                format!("{}{accepted}", whole(&phrase::headline(finding), &line))
            }
            Show::Growth => phrase::growth(finding),
            Show::State => phrase::state(finding),
            Show::Change => format!("{}. Cause: {}", phrase::growth(finding), line.cause),
            Show::Related => phrase::related(finding),
            Show::Part => phrase::part(finding),
            Show::Nothing => return Ok(()),
        };
        self.say(finding, &line, transition, &text);
        Ok(())
    }

    fn foreseen(&mut self, latent: &Latent) -> io::Result<()> {
        self.latent += 1;
        let line = FindingLine::from(latent);
        let text = whole(&phrase::latent(latent), &line);
        self.say(&latent.finding, &line, Transition::Foreseen, &text);
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
                    "{} {}: {} on {} in {}: {}.",
                    row.severity.name(),
                    row.kind.name(),
                    row.sender,
                    row.egress_interface(),
                    row.netns(),
                    row.fate()
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
        self.lines.lost() + self.entries.as_ref().map_or(0, Native::lost)
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
