//! What was measured, as a table and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::statistics::Spread;

/// One part of the bench.
#[derive(Debug, Serialize)]
pub struct Section {
    /// Its name, which `--only` takes.
    pub name: &'static str,
    /// What it is about, as a heading.
    pub title: &'static str,
    /// What must be known to read it, where there is something.
    pub about: Option<&'static str>,
    /// What its columns before the figures are called.
    pub columns: Vec<&'static str>,
    /// The figures.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured, a word for each column.
    pub of: Vec<String>,
    /// Its unit.
    pub unit: &'static str,
    /// The figure; nothing where it could not be measured.
    pub measured: Option<Spread>,
    /// Why it could not be.
    pub missing: Option<String>,
    /// The target, where there is one.
    pub target: Option<Target>,
    /// Every round's measurement, in order.
    pub rounds: Vec<f64>,
}

/// The target of a figure.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Row {
    /// A figure, from each round's measurement.
    pub fn new(
        of: impl IntoIterator<Item = impl Into<String>>,
        unit: &'static str,
        rounds: Vec<f64>,
    ) -> Self {
        let measured = Spread::of(&rounds);
        Self {
            of: of.into_iter().map(Into::into).collect(),
            unit,
            missing: measured.is_none().then(|| "it never happened".to_owned()),
            measured,
            target: None,
            rounds,
        }
    }

    /// The target, and whether it is met.
    fn verdict(&self) -> String {
        let (Some(measured), Some(target)) = (self.measured, self.target) else {
            return String::new();
        };
        let (sign, bound, is_met) = match target {
            Target::AtMost(most) => ('≤', most, measured.median <= most),
            Target::AtLeast(least) => ('≥', least, measured.median >= least),
        };
        let met = if is_met { "yes" } else { "**no**" };
        format!("{sign} {}: {met}", short(bound))
    }
}

impl Section {
    /// As a table, which reads well as text and is one in Markdown.
    pub fn table(&self) -> String {
        let mut header: Vec<String> = self.columns.iter().map(|&column| column.into()).collect();
        header.extend(["median", "half of them", "unit", "target"].map(Into::into));
        let mut cells = vec![header];
        for row in &self.rows {
            let mut line = row.of.clone();
            match (&row.measured, &row.missing) {
                (Some(spread), _) => {
                    line.push(number(spread.median));
                    line.push(if spread.count > 1 {
                        format!("{} – {}", number(spread.lower), number(spread.upper))
                    } else {
                        String::new()
                    });
                }
                (None, why) => {
                    line.push("—".into());
                    line.push(why.clone().unwrap_or_default());
                }
            }
            line.push(row.unit.into());
            line.push(row.verdict());
            cells.push(line);
        }
        lay_out(&cells, self.columns.len())
    }
}

/// Lines up cells, the first of which are the header's. Those from `numbers` on and before the unit are aligned right.
fn lay_out(cells: &[Vec<String>], numbers: usize) -> String {
    let width = |column: usize| {
        let widths = cells.iter().filter_map(|line| line.get(column));
        widths.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let is_right = |column: usize| (numbers..numbers + 2).contains(&column);
    let mut text = String::new();
    for (place, line) in cells.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let width = width(column);
            let _infallible = if is_right(column) {
                write!(text, "| {cell:>width$} ")
            } else {
                write!(text, "| {cell:<width$} ")
            };
        }
        text += "|\n";
        if place == 0 {
            for column in 0..line.len() {
                let dashes = "-".repeat(width(column));
                let colon = if is_right(column) { ":" } else { "-" };
                let _infallible = write!(text, "| {}{colon} ", &dashes[1..]);
            }
            text += "|\n";
        }
    }
    text
}

/// A bound, with the digits that it has.
fn short(bound: f64) -> String {
    let text = format!("{bound:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// A number with as many digits as it deserves.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 10.0 && value.fract() == 0.0 => grouped(value as i64),
        0.0..10.0 => format!("{value:.3}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => grouped(value.round() as i64),
    }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}
