//! The matrix for people: marks that are seen without colour, too.

use pinif_ebpf::verdict::Severity;

use super::grid::{Grid, Text};
use super::look::{self, Look};
use super::text::{grouped, visible};
use crate::audit::matrix::{Matrix, Sum};

/// Where nothing left.
const EMPTY: &str = "·";

/// The matrix of a namespace: a title, the table, and what its marks mean, if there are any.
pub fn render(matrix: &Matrix, look: Look, columns: Option<usize>) -> String {
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
            .chain(row.sums.iter().map(|sum| cell(*sum)))
            .collect()
    });
    let grid = Grid {
        headings,
        rows: rows.collect(),
    };
    let title = format!(
        "{}: packets by bound device (rows) and egress interface (columns)",
        visible(&matrix.netns)
    );
    let table = grid.render(look, columns, |text| text.text.trim_end() == EMPTY);
    format!(
        "{}\n{table}{}",
        look.paint(look::strong(), &title),
        legend(matrix, look)
    )
}

/// `1,040`; `1,040 !` when all of them leaked; `40 of 1,040 !` when some did. Two places at the right are the mark's, so
/// that numbers stand under each other.
fn cell(sum: Option<Sum>) -> Text {
    match sum {
        None => Text::right(format!("{EMPTY}  ")).styled(look::faint()),
        Some(Sum {
            packets,
            gravest: None,
            ..
        }) => Text::right(format!("{}  ", grouped(packets))),
        Some(Sum {
            packets,
            gravest: Some((severity, marked)),
            ..
        }) => {
            let all = grouped(packets);
            let numbers = if marked == packets {
                all
            } else {
                format!("{} of {all}", grouped(marked))
            };
            Text::right(format!("{numbers} {}", mark(severity))).styled(look::of_severity(severity))
        }
    }
}

const fn mark(severity: Severity) -> char {
    match severity {
        Severity::Leak => '!',
        Severity::Risk => '?',
        Severity::Note => '*',
    }
}

fn legend(matrix: &Matrix, look: Look) -> String {
    let gravest = |sum: &Sum| sum.gravest.map(|(severity, _)| severity);
    let there = |severity| {
        matrix
            .rows
            .iter()
            .flat_map(|row| &row.sums)
            .flatten()
            .any(|sum| gravest(sum) == Some(severity))
    };
    let meanings: Vec<String> = [
        (Severity::Leak, "left where it must not"),
        (Severity::Risk, "left well by luck"),
        (Severity::Note, "odd"),
    ]
    .into_iter()
    .filter(|(severity, _)| there(*severity))
    .map(|(severity, meaning)| format!("{} {meaning}", mark(severity)))
    .collect();
    if meanings.is_empty() {
        return String::new();
    }
    format!("{}\n", look.paint(look::faint(), &meanings.join("   ")))
}
