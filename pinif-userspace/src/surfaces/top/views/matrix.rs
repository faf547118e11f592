//! The matrix: who sent how much by which interface, and how much a second.

use std::ops::Range;

use anstyle::Style;

use crate::findings::matrix::{Matrix, Row};
use crate::surfaces::look;
use crate::surfaces::matrix::{cell, legend};
use crate::surfaces::top::canvas::Canvas;
use crate::surfaces::top::cursor::{Cursor, Move};
use crate::surfaces::top::data::Data;
use crate::surfaces::top::rates;
use crate::text::escape::{columns, in_cells};

/// Between two columns.
const GAP: usize = 2;
/// The fewest lines on which one is the legend's.
const ROOMY: usize = 6;

/// The matrix, and what of it is seen.
#[derive(Debug, Default)]
pub struct MatrixView {
    rows: Cursor,
    /// How many columns at the left are not seen.
    hidden: usize,
    /// Whether it is in the order of names, and what has findings not first.
    is_by_name: bool,
}

/// A line below the headings.
#[derive(Clone, Copy, Debug)]
enum Line<'a> {
    /// The headings of the next namespace's matrix.
    Headings(&'a Matrix),
    /// A row.
    Row(&'a Matrix, &'a Row),
}

impl MatrixView {
    /// Moves among the rows; so many lines have room for it.
    pub fn go(&mut self, step: Move, data: &Data, height: usize) {
        let rows = lines(self.matrices(data)).len();
        self.rows.go(step, rows, seen(height));
    }

    /// Moves to other columns.
    pub fn left(&mut self) {
        self.hidden = self.hidden.saturating_sub(1);
    }

    /// Moves to other columns.
    pub fn right(&mut self, data: &Data) {
        let most = self
            .matrices(data)
            .iter()
            .map(|matrix| matrix.columns.len())
            .max();
        self.hidden = (self.hidden + 1).min(most.unwrap_or(0).saturating_sub(1));
    }

    /// Sorts by something else, and says by what.
    pub fn sort(&mut self) -> &'static str {
        self.is_by_name = !self.is_by_name;
        if self.is_by_name {
            "by name"
        } else {
            "those with findings first"
        }
    }

    /// Draws it.
    pub fn draw(&self, data: &Data, canvas: &mut Canvas<'_>) {
        let matrices = self.matrices(data);
        let lines = lines(matrices);
        let height = seen(canvas.height());
        let window = self.rows.window(lines.len(), height);
        let several = matrices.len() > 1;
        let mut laid: Option<Layout<'_>> = None;
        for (y, index) in window.enumerate() {
            let line = lines[index];
            let (Line::Headings(matrix) | Line::Row(matrix, _)) = line;
            let layout = match laid.take() {
                Some(layout) if std::ptr::eq(layout.matrix, matrix) => layout,
                _ => Layout::of(matrix, data, self.hidden, canvas.width()),
            };
            if y == 0 {
                layout.draw_headings(canvas, 0, several);
            }
            match line {
                Line::Headings(_) => layout.draw_headings(canvas, y + 1, several),
                Line::Row(_, row) => layout.draw_row(canvas, y + 1, row, data),
            }
            if self.rows.selected(lines.len()) == Some(index) {
                canvas.select(y + 1);
            }
            laid = Some(layout);
        }
        if canvas.height() >= ROOMY {
            let (y, width) = (canvas.height() - 1, canvas.width());
            let state = format!("state {}", data.matrix_seq);
            let meanings = canvas.put(0, y, width, &meanings(matrices), look::faint());
            let room = width.saturating_sub(meanings + GAP);
            if columns(&state) <= room {
                canvas.put_right(width - room, y, room, &state, look::faint());
            }
        }
    }

    fn matrices<'a>(&self, data: &'a Data) -> &'a [Matrix] {
        if self.is_by_name {
            &data.matrix
        } else {
            &data.gravest
        }
    }
}

/// How many rows have room below the headings.
fn seen(height: usize) -> usize {
    let legend = if height >= ROOMY { 1 } else { 0 };
    height.saturating_sub(1 + legend)
}

fn lines(matrices: &[Matrix]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (index, matrix) in matrices.iter().enumerate() {
        if index > 0 {
            lines.push(Line::Headings(matrix));
        }
        lines.extend(matrix.rows.iter().map(|row| Line::Row(matrix, row)));
    }
    lines
}

/// What the marks mean that are in any of them.
fn meanings(matrices: &[Matrix]) -> String {
    let mut all: Vec<String> = Vec::new();
    for meaning in matrices.iter().flat_map(legend) {
        if !all.contains(&meaning) {
            all.push(meaning);
        }
    }
    all.join("   ")
}

/// Where the columns of a matrix stand.
struct Layout<'a> {
    matrix: &'a Matrix,
    names: usize,
    columns: Vec<Place>,
    hidden: usize,
    is_more: bool,
}

struct Place {
    column: usize,
    at: usize,
    count: usize,
    rate: usize,
}

impl Place {
    fn range(&self) -> Range<usize> {
        self.at..self.at + self.count + if self.rate > 0 { 1 + self.rate } else { 0 }
    }
}

impl<'a> Layout<'a> {
    fn of(matrix: &'a Matrix, data: &Data, hidden: usize, width: usize) -> Self {
        let text_width = |text: &str| columns(&in_cells(text));
        let names = matrix.rows.iter().map(|row| text_width(row.sender.name()));
        let names = names.chain([8, text_width(&matrix.netns).min(12)]).max();
        let names = names.unwrap_or(0).min((width / 3).max(8));
        let hidden = hidden.min(matrix.columns.len().saturating_sub(1));
        let mut layout = Self {
            matrix,
            names,
            columns: Vec::new(),
            hidden,
            is_more: false,
        };
        let mut at = names + GAP;
        for (column, heading) in matrix.columns.iter().enumerate().skip(hidden) {
            let (mut count, mut rate) = (0, 0);
            for row in &matrix.rows {
                if let Some(sum) = row.sums.get(&column) {
                    count = count.max(text_width(&cell(Some(*sum)).text));
                    rate = rate.max(text_width(&layout.rate(row, column, data)));
                }
            }
            // Two places at the right are the mark's.
            count = count.max(text_width(heading) + 2);
            let place = Place {
                column,
                at,
                count,
                rate,
            };
            let end = place.range().end;
            if end > width && !layout.columns.is_empty() {
                layout.is_more = true;
                break;
            }
            layout.columns.push(place);
            at = end + GAP;
        }
        layout
    }

    fn rate(&self, row: &Row, column: usize, data: &Data) -> String {
        let interface = self.matrix.columns[column].clone();
        let place = (self.matrix.netns.clone(), row.sender.clone(), interface);
        rates::text(data.matrix_rates.of(&place))
    }

    fn draw_headings(&self, canvas: &mut Canvas<'_>, y: usize, several: bool) {
        let name = if several {
            &self.matrix.netns
        } else {
            "bound to"
        };
        canvas.put(0, y, self.names, name, look::faint());
        if self.hidden > 0 {
            canvas.put(self.names, y, 1, "←", look::faint());
        }
        for place in &self.columns {
            let heading = &self.matrix.columns[place.column];
            let columns = place.count.saturating_sub(2);
            canvas.put_right(place.at, y, columns, heading, look::strong());
        }
        if self.is_more {
            canvas.put(canvas.width().saturating_sub(1), y, 1, "→", look::faint());
        }
    }

    fn draw_row(&self, canvas: &mut Canvas<'_>, y: usize, row: &Row, data: &Data) {
        canvas.put(0, y, self.names, row.sender.name(), look::strong());
        for place in &self.columns {
            let sum = row.sums.get(&place.column).copied();
            let text = cell(sum);
            canvas.put_right(place.at, y, place.count, &text.text, text.style);
            if sum.is_some() && place.rate > 0 {
                let rate = self.rate(row, place.column, data);
                let at = place.at + place.count + 1;
                canvas.put_right(at, y, place.rate, &rate, Style::new());
            }
        }
    }
}
