//! The matrix for people: marks that are seen without colour, too.

use pinif_ebpf::verdict::Severity;

use super::grid::{Grid, Text};
use super::look::{self, Look};
use crate::findings::matrix::{Matrix, Sender, Sum};
use crate::text::escape::visible;
use crate::text::words::{grouped, wrapped};

/// Where nothing was sent.
const EMPTY: &str = "·";
/// The mark of what a rule allows.
const ALLOWED: char = '~';
/// The mark of what was dropped.
const DROPPED: char = 'x';

/// The matrix of a namespace: a title, the table, and what its marks mean, if there are any. Where it does not fit, rows and columns
/// with marks come first.
pub fn render(matrix: &Matrix, look: Look, columns: Option<usize>) -> String {
    let mut title = format!(
        "{}: packets by bound device (rows) and egress interface (columns)",
        visible(&matrix.netns)
    );
    let mut grid = grid(matrix);
    if !grid.fits(columns) && matrix.has_marks() {
        title.push_str(", those with findings first");
        grid = self::grid(&matrix.gravest_first());
    }
    let title = match columns {
        Some(columns) => wrapped(&title, columns, 0),
        None => title,
    };
    let table = grid.render(look, columns, |text| text.text.trim_end() == EMPTY);
    let mut legend = legend(matrix).join("   ");
    if let Some(columns) = columns {
        legend = wrapped(&legend, columns, 0);
    }
    let end = if legend.is_empty() { "" } else { "\n" };
    format!(
        "{}\n{table}{}{end}",
        look.paint(look::strong(), &title),
        look.paint(look::faint(), &legend)
    )
}

fn grid(matrix: &Matrix) -> Grid {
    let mut headings = vec![Text::left("bound to").styled(look::faint())];
    headings.extend(
        matrix
            .columns
            .iter()
            .map(|name| Text::right(format!("{}  ", visible(name))).styled(look::strong())),
    );
    let rows = matrix.rows.iter().map(|row| {
        let name = Text::left(visible(row.sender.name())).styled(look::strong());
        std::iter::once(name)
            .chain((0..matrix.columns.len()).map(|column| cell(row.sums.get(&column).copied())))
            .collect()
    });
    Grid {
        headings,
        rows: rows.collect(),
    }
}

/// `1,040`; `1,040 !` when all of them leaked; `40 of 1,040 !` when some did; `1,040 x` when all were dropped, and
/// `40 of 1,040 ! + 1,000 x` when others were. Two places at the right are the mark's, so that numbers stand under each other.
pub(super) fn cell(sum: Option<Sum>) -> Text {
    let Some(sum) = sum else {
        return Text::right(format!("{EMPTY}  ")).styled(look::faint());
    };
    let left = (sum.packets > 0 || sum.dropped == 0).then(|| left(&sum));
    let dropped = (sum.dropped > 0).then(|| format!("{} {DROPPED}", grouped(sum.dropped)));
    let style = sum
        .gravest
        .map(|(severity, _)| look::of_severity(severity))
        .unwrap_or_default();
    Text::right(match (left, dropped) {
        (Some(left), Some(dropped)) => format!("{} + {dropped}", left.trim_end()),
        (left, dropped) => left.or(dropped).unwrap_or_default(),
    })
    .styled(style)
}

/// What of it left.
fn left(sum: &Sum) -> String {
    let all = grouped(sum.packets);
    let (marked, mark) = match sum.gravest {
        Some((severity, marked)) => (marked, mark(severity)),
        None if sum.allowed > 0 => (sum.allowed, ALLOWED),
        None => return format!("{all}  "),
    };
    if marked == sum.packets {
        format!("{all} {mark}")
    } else {
        format!("{} of {all} {mark}", grouped(marked))
    }
}

const fn mark(severity: Severity) -> char {
    match severity {
        Severity::Leak => '!',
        Severity::Risk => '?',
        Severity::Note => '*',
    }
}

/// What its marks mean, each in a few words with the mark before them.
pub(super) fn legend(matrix: &Matrix) -> Vec<String> {
    let sums = || matrix.rows.iter().flat_map(|row| row.sums.values());
    let there = |severity| sums().any(|sum| sum.gravest.is_some_and(|(its, _)| its == severity));
    let mut meanings: Vec<String> = [
        (Severity::Leak, "left where it must not"),
        (Severity::Risk, "depends on the current route"),
        (Severity::Note, "odd"),
    ]
    .into_iter()
    .filter(|(severity, _)| there(*severity))
    .map(|(severity, meaning)| format!("{} {meaning}", mark(severity)))
    .collect();
    if sums().any(|sum| sum.gravest.is_none() && sum.allowed > 0) {
        meanings.push(format!("{ALLOWED} allowed by a rule"));
    }
    let drops = |is_arriving: bool| {
        let rows = matrix.rows.iter();
        let mut rows = rows.filter(|row| (row.sender == Sender::Arriving) == is_arriving);
        rows.any(|row| row.sums.values().any(|sum| sum.dropped > 0))
    };
    if drops(false) {
        meanings.push(format!("{DROPPED} kept from leaving"));
    }
    if drops(true) {
        meanings.push(format!("{DROPPED} in the row arriving: kept out"));
    }
    meanings
}
