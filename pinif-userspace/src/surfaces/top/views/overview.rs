//! The overview: whether all is well, and the worst that was found.

use anstyle::Style;
use pinif_ebpf::verdict::Severity;

use super::findings::table;
use crate::control::protocol::Status;
use crate::findings::line::FindingLine;
use crate::surfaces::top::canvas::Canvas;
use crate::surfaces::top::cursor::{Cursor, Move};
use crate::surfaces::top::data::{Data, worst};
use crate::surfaces::top::page::Page;
use crate::surfaces::{look, standing};
use crate::text::words::grouped;

/// The overview, and what of it is seen.
#[derive(Debug, Default)]
pub struct Overview {
    worst: Cursor,
    page: Cursor,
}

impl Overview {
    /// Moves among the worst findings, which stand first; scrolls where there are no more of them.
    pub fn go(&mut self, step: Move, data: &Data, (width, height): (usize, usize)) {
        let Some(status) = &data.status else { return };
        let rows = status.worst.len();
        let lines = table_height(rows) + page(status).height(width);
        let is_seen = |page: &Cursor, row: usize| page.scrolled(lines, height).contains(&(1 + row));
        let last = rows.saturating_sub(1);
        let is_among = match (step, self.worst.selected(rows)) {
            (Move::Up, Some(row)) => row > 0 && is_seen(&self.page, row),
            (Move::Down, Some(row)) => row < last && is_seen(&self.page, row),
            _ => false,
        };
        if is_among {
            self.worst.go(step, rows, rows);
        }
        let row = self.worst.selected(rows).unwrap_or(0);
        if !is_among || !is_seen(&self.page, row) {
            self.page.scroll(step, lines, height);
        }
    }

    /// The finding that is selected.
    pub fn selected<'a>(&self, data: &'a Data) -> Option<&'a FindingLine> {
        let worst = &data.status.as_ref()?.worst;
        let row = self.worst.selected(worst.len())?;
        worst.get(row)
    }

    /// Draws it.
    pub fn draw(&self, data: &Data, canvas: &mut Canvas<'_>) {
        let Some(status) = &data.status else { return };
        let rows = status.worst.len();
        let page = page(status);
        let above = table_height(rows);
        let lines = above + page.height(canvas.width());
        let window = self.page.scrolled(lines, canvas.height());
        if rows > 0 && window.start == 0 {
            let table = table(data, &data.worst_rates, &status.worst);
            table.draw(canvas, 0..rows, self.worst.selected(rows));
        } else if window.start < above {
            let table = table(data, &data.worst_rates, &status.worst);
            let (first, height) = (window.start - 1, above - 1);
            table.draw_rows(
                &mut canvas.lines(0, height),
                first.min(rows)..rows,
                self.worst.selected(rows),
            );
        }
        let below = above.saturating_sub(window.start);
        let height = canvas.height();
        let of_page = window.start.saturating_sub(above)..window.end.saturating_sub(above);
        page.draw(&mut canvas.lines(below, height), of_page);
    }
}

/// How many lines so many findings take, with their headings and an empty line.
const fn table_height(rows: usize) -> usize {
    if rows > 0 { rows + 2 } else { 0 }
}

fn page(status: &Status) -> Page {
    let mut page = Page::default();
    for (label, text) in standing::lines(status) {
        let style = match label {
            "findings" => worst(status).map_or(look::strong(), look::of_severity),
            // What keeps it from seeing or counting all.
            "blind" | "reload" | "uncounted" => look::of_severity(Severity::Risk),
            _ => Style::new(),
        };
        page.field(label, text, style);
    }
    let state = format!("{} of {}", grouped(status.seq), status.time);
    page.field("state", state, look::faint());
    page
}
