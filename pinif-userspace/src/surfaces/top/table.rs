//! A table on the screen: a line of headings, rows below them. Where it is too wide, columns that matter less are left out.

use std::ops::Range;

use super::canvas::Canvas;
use crate::surfaces::grid::{Align, Text};
use crate::surfaces::look;
use crate::text::escape::{columns, in_cells};

/// Between two columns.
const GAP: usize = 2;

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading, which stands where its texts do.
    pub heading: Text,
    /// How many columns of the screen it needs at least; it gets more where its texts need more and there is room.
    pub least: usize,
    /// What is left out first has the greatest number; what has none is always there.
    pub rank: u8,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each as long as the columns.
    pub rows: Vec<Vec<Text>>,
}

impl Table {
    /// Draws the headings, and these of its rows below them.
    pub fn draw(&self, canvas: &mut Canvas<'_>, rows: Range<usize>, selected: Option<usize>) {
        let headings = self.columns.iter();
        let headings: Vec<Text> = headings
            .map(|column| column.heading.clone().styled(look::faint()))
            .collect();
        line(canvas, 0, &self.places(canvas.width()), &headings);
        let height = canvas.height();
        self.draw_rows(&mut canvas.lines(1, height), rows, selected);
    }

    /// Draws these of its rows alone.
    pub fn draw_rows(&self, canvas: &mut Canvas<'_>, rows: Range<usize>, selected: Option<usize>) {
        let places = self.places(canvas.width());
        for (y, index) in rows.enumerate() {
            line(canvas, y, &places, &self.rows[index]);
            if selected == Some(index) {
                canvas.select(y);
            }
        }
    }

    /// Where each column stands and how wide it is; nothing of one that is left out.
    fn places(&self, width: usize) -> Vec<Option<Range<usize>>> {
        let natural: Vec<usize> = (0..self.columns.len())
            .map(|index| {
                let texts = self.rows.iter().map(|row| &row[index]);
                let texts = texts.chain([&self.columns[index].heading]);
                let widths = texts.map(|text| columns(&in_cells(&text.text)));
                widths.max().unwrap_or(0)
            })
            .collect();
        let least = |index: usize| natural[index].min(self.columns[index].least);
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        let total = |kept: &[usize], of: &dyn Fn(usize) -> usize| {
            let widths: usize = kept.iter().map(|index| of(*index)).sum();
            widths + GAP * kept.len().saturating_sub(1)
        };
        while total(&kept, &least) > width {
            let last = kept
                .iter()
                .copied()
                .max_by_key(|index| self.columns[*index].rank);
            match last.filter(|index| self.columns[*index].rank > 0) {
                Some(last) => kept.retain(|index| *index != last),
                None => break,
            }
        }
        let mut spare = width.saturating_sub(total(&kept, &least));
        let mut places = vec![None; self.columns.len()];
        let mut at = 0;
        for index in kept {
            let more = (natural[index] - least(index)).min(spare);
            spare -= more;
            let end = at + least(index) + more;
            places[index] = Some(at..end);
            at = end + GAP;
        }
        places
    }
}

fn line(canvas: &mut Canvas<'_>, y: usize, places: &[Option<Range<usize>>], texts: &[Text]) {
    for (place, text) in places.iter().zip(texts) {
        let Some(place) = place else { continue };
        match text.align {
            Align::Left => {
                canvas.put(place.start, y, place.len(), &text.text, text.style);
            }
            Align::Right => {
                canvas.put_right(place.start, y, place.len(), &text.text, text.style);
            }
        }
    }
}
