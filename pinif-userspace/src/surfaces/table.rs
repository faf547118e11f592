//! The table of findings at the end of an audit.

use super::grid::{Grid, Text};
use super::look;
use super::shown::Row;
use crate::findings::kinds;
use crate::text::words::grouped;

/// The exact counts of all findings, the gravest first.
pub fn table(rows: &[Row]) -> Grid {
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
    let cells = |row: &Row, first: [Text; 2], [packets, bytes]: [u64; 2], last: [&str; 2]| {
        let mut texts = Vec::from(first);
        texts.extend(several.then(|| Text::left(row.netns())));
        texts.extend([
            Text::left(row.egress_interface()),
            Text::right(grouped(packets)),
            Text::right(grouped(bytes)),
        ]);
        texts.extend(fates.then(|| Text::left(last[0])));
        texts.push(Text::left(last[1]));
        texts
    };
    let rows = rows.iter().flat_map(|row| {
        let severity = Text::left(row.severity.name()).styled(look::of_severity(row.severity));
        let own = cells(
            row,
            [severity, Text::left(row.kind.name())],
            [row.packets, row.bytes],
            [row.fate(), &row.sender],
        );
        let related = row.related.iter().map(|one| {
            cells(
                row,
                [Text::left("with it"), Text::left(one.kind.name())],
                [one.packets, one.bytes],
                [kinds::of(one.kind).fate, "of the same connections"],
            )
        });
        std::iter::once(own).chain(related).collect::<Vec<_>>()
    });
    Grid {
        headings: headings.into_iter().map(strong).collect(),
        rows: rows.collect(),
    }
}
