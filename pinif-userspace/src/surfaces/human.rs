//! For people: a line for a finding, the time first, and its details under it; at the end exact counts, the matrix, what happened in a
//! sentence, and what to try next.

use std::io::{self, Stderr, Stdout, Write};
use std::time::{Duration, Instant, SystemTime};

use pinif_ebpf::loss::Loss;

use super::conclusion::conclusion;
use super::details::{Detail, details};
use super::level::Level;
use super::lines::Unbuffered;
use super::look::{self, Look};
use super::matrix;
use super::next;
use super::notes::Notes;
use super::output::{Output, WithoutReader};
use super::phrase;
use super::shown::{Show, Shown};
use super::surface::Surface;
use super::table::table;
use crate::findings::alert_state::AlertState;
use crate::findings::finding::Finding;
use crate::findings::latent::Latent;
use crate::findings::line::FindingLine;
use crate::findings::matrix::Matrix;
use crate::findings::ready::Ready;
use crate::findings::summary::Summary;
use crate::findings::wall_time::WallTime;
use crate::hub::Change;
use crate::text::words::{counted, duration, width, wrapped_from};

/// Where the details under a headline begin.
const INDENT: usize = 12;
/// The fewest columns in which they have a column of labels before them.
const NARROW: usize = 40;

/// The findings and the end on `out`; progress and notes apart from them.
pub struct Human<O, E> {
    out: Output<O>,
    notes: Notes<E>,
    look: Look,
    columns: fn() -> Option<usize>,
    clock: Box<dyn Fn() -> Now + Send>,
    shown: Shown,
    latent: u64,
    ready: Option<Ready>,
    /// What was shown last.
    last: Option<Block>,
}

/// The time, on two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since any start; it limits how often a finding is shown again.
    pub since: Duration,
    /// The wall clock's, which people read.
    pub wall: SystemTime,
}

impl Now {
    /// Of this machine, so long after a start.
    pub fn after(start: Instant) -> Self {
        Self {
            since: start.elapsed(),
            wall: SystemTime::now(),
        }
    }
}

/// What stands together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// A finding with its details.
    Whole,
    /// A line alone.
    Line,
}

impl Human<Unbuffered<Stdout>, Unbuffered<Stderr>> {
    /// On standard output, as its terminal allows, with the notes on standard error.
    pub fn standard(without_reader: WithoutReader) -> Self {
        let start = Instant::now();
        Self::new(
            Output::standard(without_reader),
            Notes::standard(),
            Look::of(&io::stdout()),
            || look::columns(io::stdout()),
            move || Now::after(start),
        )
    }
}

impl<O: Write, E: Write> Human<O, E> {
    /// On any streams. `columns` is asked for the terminal's width whenever it matters.
    pub fn new(
        out: Output<O>,
        notes: Notes<E>,
        look: Look,
        columns: fn() -> Option<usize>,
        clock: impl Fn() -> Now + Send + 'static,
    ) -> Self {
        Self {
            out,
            notes,
            look,
            columns,
            clock: Box::new(clock),
            shown: Shown::default(),
            latent: 0,
            ready: None,
            last: None,
        }
    }

    /// Somebody else has written to the same stream, and an empty line at the end.
    pub fn is_interrupted(&mut self) {
        self.last = None;
    }

    /// Shows a block, with an empty line between it and the one before, where either has details.
    fn show_block(&mut self, block: Block, text: &str) -> io::Result<()> {
        let is_apart = match self.last.replace(block) {
            None => false,
            Some(Block::Whole) => true,
            Some(Block::Line) => block == Block::Whole,
        };
        let gap = if is_apart { "\n" } else { "" };
        self.show(&format!("{gap}{text}"))
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        let gap = |lost| {
            let lines = counted(lost, "line");
            format!("warning: {lines} could not be written here\n")
        };
        self.out.write(text, gap, &mut self.notes)
    }

    fn headed(&self, time: WallTime, finding: &Finding, line: &str) -> String {
        let severity = finding.severity.name();
        let line = format!(
            "{}  {severity}  {}  {line}",
            time.to_seconds(),
            finding.kind.name()
        );
        let line = match (self.columns)() {
            Some(columns) if columns >= NARROW => wrapped_from(&line, columns, INDENT, 0),
            Some(columns) => wrapped_from(&line, columns, 2, 0),
            None => line,
        };
        let style = match finding.state {
            AlertState::Accepted => look::faint(),
            AlertState::Open | AlertState::Quiet => look::of_severity(finding.severity),
        };
        let word = self.look.paint(style, severity);
        // No time has letters that a severity has.
        format!("{}\n", line.replacen(severity, &word, 1))
    }

    fn whole(&self, finding: &Finding) -> String {
        self.under(
            self.headed(finding.first_seen, finding, &phrase::headline(finding)),
            details(&finding.into()),
        )
    }

    /// A headline with the details under it.
    fn under(&self, headline: String, details: Vec<Detail>) -> String {
        let columns = (self.columns)();
        let mut text = headline;
        for detail in details {
            let label = format!("{:<8}", detail.label);
            let label = self.look.paint(look::faint(), &label);
            text.push_str(&match columns {
                None => format!("  {label}  {}\n", detail.line()),
                Some(columns) if columns >= NARROW => {
                    format!("  {label}  {}\n", detail.fitted(columns, INDENT))
                }
                // A column of labels would leave too little beside it.
                Some(columns) => format!("  {label}\n    {}\n", detail.fitted(columns, 4)),
            });
        }
        text
    }

    fn end(&self, summary: &Summary) -> String {
        let columns = (self.columns)();
        let mut text = String::new();
        if !self.shown.rows().is_empty() {
            text.push('\n');
            text.push_str(&table(self.shown.rows()).list(self.look, columns));
        }
        for matrix in Matrix::of(&summary.matrix, |cell, kind| {
            self.shown.severity(cell, kind)
        }) {
            text.push('\n');
            text.push_str(&matrix::render(&matrix, self.look, columns));
        }
        text.push('\n');
        let fitted = |text: &str, at| match columns {
            Some(columns) => wrapped_from(text, columns, 0, at),
            None => text.to_owned(),
        };
        for lost in phrase::lost(&summary.uncounted) {
            text.push_str(&format!("{}\n", fitted(&format!("uncounted: {lost}"), 0)));
        }
        let verdict = fitted(&conclusion(self.shown.rows(), summary), 0);
        let at = verdict.lines().last().map_or(0, width);
        let rows = self.shown.rows().iter();
        let worst = rows
            .filter(|row| !row.is_accepted())
            .map(|row| row.severity)
            .max();
        let verdict = self
            .look
            .paint(worst.map_or(look::strong(), look::of_severity), &verdict)
            .into_owned();
        let audited = duration(Duration::try_from_secs_f64(summary.duration_s).unwrap_or_default());
        let rest = format!("{} Audited for {audited}.", phrase::foreseen(self.latent));
        text.push_str(&format!("{verdict}{}\n", fitted(&rest, at)));
        let next = next::step(self.shown.rows(), self.latent, summary, self.ready.as_ref());
        text.push_str(&format!("{}\n", fitted(&next, 0)));
        text
    }
}

impl<O: Write + Send, E: Write + Send> Surface for Human<O, E> {
    fn name(&self) -> &'static str {
        "standard output"
    }

    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.ready = Some(ready.clone());
        self.note(Level::Info, &phrase::ready(ready))
    }

    fn finding(&mut self, finding: &Finding, _: Change) -> io::Result<()> {
        let Now { since, wall } = (self.clock)();
        let (block, text) = match self.shown.take(finding, since) {
            Show::Whole => (Block::Whole, self.whole(finding)),
            Show::Growth => (
                Block::Line,
                self.headed(wall.into(), finding, &phrase::growth(finding)),
            ),
            Show::State => (
                Block::Line,
                self.headed(wall.into(), finding, &phrase::state(finding)),
            ),
            Show::Change => (
                Block::Line,
                self.headed(wall.into(), finding, &phrase::change(finding)),
            ),
            Show::Related => (
                Block::Line,
                self.headed(wall.into(), finding, &phrase::related(finding)),
            ),
            Show::Part => (
                Block::Line,
                self.headed(wall.into(), finding, &phrase::part(finding)),
            ),
            Show::Nothing => return Ok(()),
        };
        self.show_block(block, &text)
    }

    fn foreseen(&mut self, latent: &Latent) -> io::Result<()> {
        self.latent += 1;
        let line = FindingLine::from(latent);
        let finding = &latent.finding;
        let mut details = details(&line);
        // The last two give where packets left, and how many: none has.
        details.truncate(details.len() - 2);
        let path = format!(
            "would leave via {}, namespace {}",
            line.egress_interface, line.netns
        );
        let rule = line.rule.as_ref();
        let rule = rule.map_or_else(String::new, |rule| format!(", rule {rule}"));
        details.push(Detail::new("path", format!("{path}{rule}")));
        details.push(Detail::new("if", latent.condition.clone()));
        let headline = self.headed(finding.first_seen, finding, &phrase::latent(latent));
        let text = self.under(headline, details);
        self.show_block(Block::Whole, &text)
    }

    fn uncounted(&mut self, loss: Loss, number: u64) -> io::Result<()> {
        self.note(Level::Warning, &phrase::lost_by(loss, number))
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let text = self.end(summary);
        self.show(&text)?;
        self.out.end(&mut self.notes);
        Ok(())
    }

    fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        self.notes.note(level, text);
        Ok(())
    }

    fn reader_left(&mut self) {
        self.out.reader_left(&mut self.notes);
    }

    fn lost(&self) -> u64 {
        self.out.lost()
    }
}
