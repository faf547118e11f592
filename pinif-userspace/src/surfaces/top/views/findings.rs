//! The findings, the gravest first.

use std::cmp::Reverse;

use crate::findings::line::FindingLine;
use crate::surfaces::grid::Text;
use crate::surfaces::table::sender;
use crate::surfaces::top::canvas::Canvas;
use crate::surfaces::top::cursor::{Cursor, Move};
use crate::surfaces::top::data::Data;
use crate::surfaces::top::rates::{Rates, text};
use crate::surfaces::top::table::{Column, Table};
use crate::text::words::grouped;

use super::grave::severity;

/// The list of findings, and where in it one is.
#[derive(Debug, Default)]
pub struct List {
    cursor: Cursor,
    order: Order,
}

/// By what findings are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The gravest first; of these, those with the most packets.
    #[default]
    Gravest,
    /// Those that grow the fastest first.
    Fastest,
    /// Those that were found last first.
    Newest,
}

impl Order {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gravest => "the gravest first",
            Self::Fastest => "the fastest first",
            Self::Newest => "the newest first",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Gravest => Self::Fastest,
            Self::Fastest => Self::Newest,
            Self::Newest => Self::Gravest,
        }
    }
}

impl List {
    /// Moves; so many lines have room for it.
    pub fn go(&mut self, step: Move, data: &Data, height: usize) {
        let rows = data.findings.first.len();
        self.cursor.go(step, rows, height.saturating_sub(1));
    }

    /// Sorts by something else.
    pub fn sort(&mut self) -> Order {
        self.order = self.order.next();
        self.cursor = Cursor::default();
        self.order
    }

    /// Goes to the first.
    pub fn rewind(&mut self) {
        self.cursor = Cursor::default();
    }

    /// How many findings are wanted, so that there is always a screen more than is seen.
    pub fn wanted(&self, height: usize) -> usize {
        self.cursor.wanted(height, MOST)
    }

    /// The finding that is selected.
    pub fn selected<'a>(&self, data: &'a Data) -> Option<&'a FindingLine> {
        let sorted = self.sorted(data);
        let row = self.cursor.selected(sorted.len())?;
        sorted.get(row).copied()
    }

    /// Draws it.
    pub fn draw(&self, data: &Data, canvas: &mut Canvas<'_>) {
        let sorted = self.sorted(data);
        let window = self
            .cursor
            .window(sorted.len(), canvas.height().saturating_sub(1));
        let selected = self.cursor.selected(sorted.len());
        // Only what is seen is made into texts.
        let seen = &sorted[window.clone()];
        let table = table(data, &data.finding_rates, seen.iter().copied());
        let selected = selected.and_then(|row| row.checked_sub(window.start));
        table.draw(canvas, 0..seen.len(), selected);
    }

    fn sorted<'a>(&self, data: &'a Data) -> Vec<&'a FindingLine> {
        let mut sorted: Vec<&FindingLine> = data.findings.first.iter().collect();
        match self.order {
            // As they were sent.
            Order::Gravest => {}
            Order::Fastest => sorted.sort_by(|one, another| {
                let rate =
                    |finding: &FindingLine| data.finding_rates.of(&finding.id).unwrap_or(0.0);
                rate(another).total_cmp(&rate(one))
            }),
            Order::Newest => sorted.sort_by_key(|finding| Reverse(&finding.time)),
        }
        sorted
    }
}

/// How many findings are listed at most: more than a person reads, and what a filter is for.
pub const MOST: usize = 1000;

/// Findings as a table.
pub fn table<'a>(
    data: &Data,
    rates: &Rates<String>,
    findings: impl IntoIterator<Item = &'a FindingLine>,
) -> Table {
    let column = |heading, least, rank| Column {
        heading,
        least,
        rank,
    };
    let several = data.has_several_namespaces();
    let mut columns = vec![
        column(Text::left("found"), 5, 0),
        column(Text::left("kind"), 15, 3),
    ];
    columns.extend(several.then(|| column(Text::left("netns"), 6, 5)));
    columns.extend([
        column(Text::left("via"), 6, 1),
        column(Text::right("packets"), 7, 2),
        column(Text::right("rate"), 6, 4),
        column(Text::left("who"), 12, 0),
    ]);
    let rows = findings.into_iter().map(|finding| {
        let mut row = vec![severity(finding), Text::left(finding.kind.name())];
        row.extend(several.then(|| Text::left(&*finding.netns)));
        row.extend([
            Text::left(&*finding.egress_interface),
            Text::right(grouped(finding.packets)),
            Text::right(text(rates.of(&finding.id))),
            Text::left(sender(finding)),
        ]);
        row
    });
    let rows = rows.collect();
    Table { columns, rows }
}
