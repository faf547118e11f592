//! Tables for people: aligned by display width, and broken into bands where the terminal is too narrow.

use anstyle::Style;

use super::look::Look;
use crate::text::words::{width, wrapped};

/// A table: a first column of names, a row of headings, and texts.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// The heading of the names, and of each further column.
    pub headings: Vec<Text>,
    /// The rows, each as long as `headings`.
    pub rows: Vec<Vec<Text>>,
}

/// What stands in one place of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text, without control characters.
    pub text: String,
    /// On which side it stands.
    pub align: Align,
    /// Its colour.
    pub style: Style,
}

/// On which side a text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// At the left, as names do.
    #[default]
    Left,
    /// At the right, as numbers do.
    Right,
}

impl Text {
    /// A text at the left.
    pub fn left(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A text at the right.
    pub fn right(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            align: Align::Right,
            ..Self::default()
        }
    }

    /// The same text in a colour.
    pub fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Between two columns.
const GAP: usize = 2;
/// How narrow the last column of a list may be.
const NARROWEST: usize = 24;
/// Before the texts of a list that stand below its columns.
const INDENT: usize = 4;

impl Grid {
    /// The table as lines, each ended. Where `columns` is too narrow for it, it comes in bands that repeat the names; a
    /// row that has nothing in a band (`empty` says so of a text) is left out of it.
    pub fn render(
        &self,
        look: Look,
        columns: Option<usize>,
        empty: impl Fn(&Text) -> bool,
    ) -> String {
        let widths = self.widths();
        let mut lines = String::new();
        let bands = bands(&widths, columns);
        for (index, band) in bands.iter().enumerate() {
            if index > 0 {
                lines.push('\n');
            }
            self.line(&mut lines, look, &self.headings, &widths, band.clone());
            for row in &self.rows {
                let bare = row
                    .get(band.clone())
                    .is_some_and(|texts| texts.iter().all(&empty));
                if bands.len() == 1 || !bare {
                    self.line(&mut lines, look, row, &widths, band.clone());
                }
            }
        }
        lines
    }

    /// Whether it has its place in so many columns.
    pub fn fits(&self, columns: Option<usize>) -> bool {
        bands(&self.widths(), columns).len() == 1
    }

    /// A list, rather than a table of numbers: each row is one, at any width. The first columns stand beside each other, as many
    /// as fit; each further text begins a line of its own below them. The last column's text, which is the longest, is broken
    /// within its column where that is wide enough.
    pub fn list(&self, look: Look, columns: Option<usize>) -> String {
        let widths = self.widths();
        let Some(columns) = columns.filter(|columns| total(&widths) > *columns) else {
            return self.render(look, None, |_| false);
        };
        let last = widths.len().saturating_sub(1);
        let before_last = total(&widths[..last]);
        if before_last + GAP + NARROWEST <= columns {
            return self.broken(look, &widths, columns, before_last + GAP);
        }
        let beside = (1..=last)
            .rev()
            .find(|beside| total(&widths[..*beside]) <= columns)
            .unwrap_or(1);
        let mut lines = String::new();
        self.line(&mut lines, look, &self.headings, &widths, 1..beside);
        for row in &self.rows {
            self.line(&mut lines, look, row, &widths, 1..beside);
            for text in row.iter().skip(beside).filter(|text| !text.text.is_empty()) {
                let text_lines = wrapped(&text.text, columns, INDENT);
                let text_lines = look.paint(text.style, &text_lines);
                lines.push_str(&format!("{:INDENT$}{text_lines}\n", ""));
            }
        }
        lines
    }

    /// The list with its last column broken, which begins there.
    fn broken(&self, look: Look, widths: &[usize], columns: usize, at: usize) -> String {
        let mut lines = String::new();
        for row in std::iter::once(&self.headings).chain(&self.rows) {
            let mut row = row.clone();
            if let Some(text) = row.last_mut() {
                text.text = wrapped(&text.text, columns, at);
            }
            self.line(&mut lines, look, &row, widths, 1..row.len());
        }
        lines
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|text| width(&text.text)).collect();
        for row in &self.rows {
            for (widest, text) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&text.text));
            }
        }
        widths
    }

    fn line(
        &self,
        to: &mut String,
        look: Look,
        row: &[Text],
        widths: &[usize],
        band: std::ops::Range<usize>,
    ) {
        let mut line = String::new();
        for (index, (text, &columns)) in row.iter().zip(widths).enumerate() {
            if index > 0 && !band.contains(&index) {
                continue;
            }
            let pad = columns.saturating_sub(width(&text.text));
            let (before, after) = match text.align {
                Align::Left => (0, pad),
                Align::Right => (pad, 0),
            };
            let gap = if index == 0 { 0 } else { GAP };
            line.push_str(&" ".repeat(gap + before));
            // Spaces at its end are painted by nothing, so that none ends a line.
            let bare = text.text.trim_end();
            let kept = width(&text.text) - width(bare);
            line.push_str(&look.paint(text.style, bare));
            line.push_str(&" ".repeat(kept + after));
        }
        to.push_str(line.trim_end());
        to.push('\n');
    }
}

/// What columns take beside each other.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// The ranges of columns that stand beside the names in each band: as many as fit, and at least one.
fn bands(widths: &[usize], columns: Option<usize>) -> Vec<std::ops::Range<usize>> {
    let names = widths.first().copied().unwrap_or(0);
    let mut bands = Vec::new();
    let (mut start, mut used) = (1, names);
    for (index, width) in widths.iter().enumerate().skip(1) {
        let needed = GAP + width;
        if columns.is_some_and(|columns| used + needed > columns) && index > start {
            bands.push(start..index);
            (start, used) = (index, names);
        }
        used += needed;
    }
    bands.push(start..widths.len().max(start));
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let row = |name: &str, texts: [&str; 3]| {
            let mut row = vec![Text::left(name)];
            row.extend(texts.map(Text::right));
            row
        };
        Grid {
            headings: row("", ["fab0", "eth1", "日本"]),
            rows: vec![
                row("fab0", ["1,000", "·", "·"]),
                row("unpinned", ["·", "20", "3"]),
            ],
        }
    }

    fn render(columns: Option<usize>) -> String {
        grid().render(Look::PLAIN, columns, |text| text.text == "·")
    }

    #[test]
    fn columns_are_aligned_by_what_the_eye_sees() {
        assert_eq!(
            render(None),
            "           fab0  eth1  日本\n\
             fab0      1,000     ·     ·\n\
             unpinned      ·    20     3\n"
        );
        assert_eq!(render(Some(27)), render(None));
    }

    #[test]
    fn a_narrow_terminal_gets_bands_without_empty_rows() {
        assert_eq!(
            render(Some(26)),
            "           fab0  eth1\n\
             fab0      1,000     ·\n\
             unpinned      ·    20\n\
             \n          日本\n\
             unpinned     3\n"
        );
        assert_eq!(
            render(Some(1))
                .lines()
                .filter(|line| line.is_empty())
                .count(),
            2,
            "one column at least"
        );
    }

    #[test]
    fn a_list_has_each_row_once_at_any_width() {
        let row = |texts: [&str; 3]| texts.map(Text::left).to_vec();
        let grid = Grid {
            headings: row(["risk", "process", "why"]),
            rows: vec![
                row([
                    "stuck",
                    "telemetryd (pid 7)",
                    "fab0 is down and nothing else leads there",
                ]),
                row(["pinned", "a", ""]),
            ],
        };
        let list = |columns| grid.list(Look::PLAIN, Some(columns));
        assert_eq!(list(100), grid.render(Look::PLAIN, None, |_| false));
        assert_eq!(
            list(54),
            "risk    process             why\n\
             stuck   telemetryd (pid 7)  fab0 is down and nothing\n\
             \x20                           else leads there\n\
             pinned  a\n"
        );
        assert_eq!(
            list(30),
            "risk    process\n\
             stuck   telemetryd (pid 7)\n    fab0 is down and nothing\n    else leads there\n\
             pinned  a\n"
        );
        assert_eq!(
            list(12),
            "risk\n\
             stuck\n    telemetryd\n    (pid 7)\n    fab0 is\n    down and\n    nothing\n    else\n    leads\n    there\n\
             pinned\n    a\n"
        );
    }

    #[test]
    fn a_table_of_nothing_is_a_line_of_nothing() {
        assert_eq!(
            Grid::default().render(Look::PLAIN, Some(80), |_| true),
            "\n"
        );
    }
}
