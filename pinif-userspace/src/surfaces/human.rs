//! For people: a calm line for a finding and its details under it; at the end exact counts, the matrix and a verdict.

use std::io::{self, Stderr, Stdout, Write};
use std::time::{Duration, Instant};

use pinif_ebpf::loss::Loss;

use super::conclusion::conclusion;
use super::grid::{Grid, Text};
use super::level::Level;
use super::lines::Unbuffered;
use super::look::{self, Look};
use super::matrix;
use super::notes::Notes;
use super::output::{Output, WithoutReader};
use super::phrase;
use super::shown::{Row, Show, Shown};
use super::surface::Surface;
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
use crate::text::words::{counted, duration, grouped, wrapped};

/// The findings and the end on `out`; progress and notes apart from them.
pub struct Human<O, E> {
    out: Output<O>,
    notes: Notes<E>,
    look: Look,
    columns: fn() -> Option<usize>,
    clock: Box<dyn Fn() -> Duration + Send>,
    shown: Shown,
    latent: u64,
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
            move || start.elapsed(),
        )
    }
}

impl<O: Write, E: Write> Human<O, E> {
    /// On any streams. `columns` is asked for the terminal's width whenever it matters; `clock` gives the time since any
    /// start, and only limits how often a finding is shown again.
    pub fn new(
        out: Output<O>,
        notes: Notes<E>,
        look: Look,
        columns: fn() -> Option<usize>,
        clock: impl Fn() -> Duration + Send + 'static,
    ) -> Self {
        Self {
            out,
            notes,
            look,
            columns,
            clock: Box::new(clock),
            shown: Shown::default(),
            latent: 0,
        }
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        let gap = |lost| {
            let lines = counted(lost, "line");
            format!("warning: {lines} could not be written here\n")
        };
        self.out.write(text, gap, &mut self.notes)
    }

    fn headed(&self, finding: &Finding, line: &str) -> String {
        let word = self
            .look
            .paint(look::of_severity(finding.severity), finding.severity.name());
        format!("{word}  {}  {line}\n", finding.kind.name())
    }

    fn whole(&self, finding: &Finding) -> String {
        self.under(
            self.headed(finding, &phrase::headline(finding)),
            details(&finding.into()),
        )
    }

    /// A headline with the details under it.
    fn under(&self, headline: String, details: Vec<(&'static str, String)>) -> String {
        let mut text = headline;
        for (label, detail) in details {
            const INDENT: usize = 12;
            let label = self
                .look
                .paint(look::faint(), &format!("{label:<8}"))
                .into_owned();
            let detail = match (self.columns)() {
                Some(columns) => wrapped(&visible(&detail), columns, INDENT),
                None => visible(&detail).into_owned(),
            };
            text.push_str(&format!("  {label}  {detail}\n"));
        }
        text
    }

    fn end(&self, summary: &Summary) -> String {
        let columns = (self.columns)();
        let mut text = String::new();
        if !self.shown.rows().is_empty() {
            text.push('\n');
            text.push_str(&table(self.shown.rows()).render(self.look, None, |_| false));
        }
        for matrix in Matrix::of(&summary.matrix, |cell, kind| {
            self.shown.severity(cell, kind)
        }) {
            text.push('\n');
            text.push_str(&matrix::render(&matrix, self.look, columns));
        }
        text.push('\n');
        for lost in phrase::lost(summary) {
            text.push_str(&format!("uncounted: {lost}\n"));
        }
        let verdict = conclusion(self.shown.rows(), summary);
        let worst = self.shown.rows().iter().map(|row| row.severity).max();
        let verdict = self
            .look
            .paint(worst.map_or(look::strong(), look::of_severity), &verdict)
            .into_owned();
        let verdict = format!("{verdict}{}", phrase::foreseen(self.latent));
        let audited = duration(Duration::try_from_secs_f64(summary.duration_s).unwrap_or_default());
        text.push_str(&format!("{verdict} Audited for {audited}.\n"));
        text
    }
}

impl<O: Write + Send, E: Write + Send> Surface for Human<O, E> {
    fn name(&self) -> &'static str {
        "standard output"
    }

    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.note(Level::Info, &phrase::ready(ready))
    }

    fn finding(&mut self, finding: &Finding, _: Change) -> io::Result<()> {
        let text = match self.shown.take(finding, (self.clock)()) {
            Show::Whole => self.whole(finding),
            Show::Growth => self.headed(finding, &phrase::growth(finding)),
            Show::Change => {
                let line = format!(
                    "{} ({})",
                    phrase::growth(finding),
                    visible(&explain::cause(finding))
                );
                self.headed(finding, &line)
            }
            Show::Nothing => return Ok(()),
        };
        self.show(&text)
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
        details.push(("path", format!("{path}{rule}")));
        details.push(("if", latent.condition.clone()));
        let text = self.under(self.headed(finding, &phrase::latent(latent)), details);
        self.show(&text)
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

/// What stands under a finding's headline: labels and texts, which are not safe to show yet.
fn details(finding: &FindingLine) -> Vec<(&'static str, String)> {
    let mut details = vec![
        ("what", finding.explanation.clone()),
        ("cause", finding.cause.clone()),
        ("fix", finding.remedy.clone()),
    ];
    if let Some(process) = &finding.process {
        let mut parts = vec![
            process.comm.clone(),
            process.number(),
            format!("uid {}", process.uid),
        ];
        parts.extend(process.exe.clone());
        parts.extend(
            process
                .cgroup
                .as_ref()
                .map(|cgroup| format!("cgroup {cgroup}")),
        );
        details.push(("process", parts.join(", ")));
    }

    let is_gap = !kinds::is_counted(finding.kind);
    let mut parts = Vec::new();
    parts.extend((!is_gap).then(|| {
        format!(
            "{} {} → {}",
            finding.protocol, finding.source, finding.destination
        )
    }));
    parts.extend(
        finding
            .bound_address
            .as_ref()
            .map(|address| format!("bound to address {address}")),
    );
    parts.extend(
        finding
            .socket_cookie
            .map(|cookie| format!("cookie {cookie}")),
    );
    let label = match finding.socket_cookie {
        Some(_) => "socket",
        None => "flow",
    };
    details.extend((!parts.is_empty()).then(|| (label, parts.join(", "))));
    let mut parts = vec![format!(
        "{} {}",
        phrase::does(finding.kind, finding.dropped),
        finding.egress_interface
    )];
    parts.extend(
        finding
            .bound_device
            .as_ref()
            .map(|device| format!("bound to {device}")),
    );
    parts.push(format!("namespace {}", finding.netns));
    parts.extend(finding.rule.as_ref().map(|rule| format!("rule {rule}")));
    details.push(("path", parts.join(", ")));
    // Of a gap no packet is seen, and it may be older than the audit.
    let seen = if is_gap {
        format!("found at {}", finding.time)
    } else {
        format!(
            "{}, {}, {}",
            finding.time,
            counted(finding.packets, "packet"),
            counted(finding.bytes, "byte")
        )
    };
    details.push(("seen", seen));
    details
}

/// The exact counts of all findings, the gravest first.
fn table(rows: &[Row]) -> Grid {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.severity));
    let several = rows.iter().any(|row| row.netns() != rows[0].netns());
    let fates = rows.iter().any(|row| row.dropped);
    let strong = |text: Text| text.styled(look::strong());
    let mut headings = vec![Text::left("finding"), Text::left("kind")];
    headings.extend(several.then(|| Text::left("netns")));
    headings.extend([
        Text::left("interface"),
        Text::right("packets"),
        Text::right("bytes"),
    ]);
    headings.extend(fates.then(|| Text::left("fate")));
    headings.push(Text::left("sender"));
    let rows = rows.iter().map(|row| {
        let mut texts = vec![
            Text::left(row.severity.name()).styled(look::of_severity(row.severity)),
            Text::left(row.kind.name()),
        ];
        texts.extend(several.then(|| Text::left(row.netns())));
        texts.extend([
            Text::left(row.egress_interface()),
            Text::right(grouped(row.packets)),
            Text::right(grouped(row.bytes)),
        ]);
        texts.extend(fates.then(|| Text::left(row.fate())));
        texts.push(Text::left(&*row.sender));
        texts
    });
    Grid {
        headings: headings.into_iter().map(strong).collect(),
        rows: rows.collect(),
    }
}
