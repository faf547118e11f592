//! The interfaces: which are audited, and why others are not.

use pinif_ebpf::verdict::Severity;

use crate::control::protocol::InterfaceStatus;
use crate::surfaces::grid::Text;
use crate::surfaces::look;
use crate::surfaces::top::canvas::Canvas;
use crate::surfaces::top::cursor::{Cursor, Move};
use crate::surfaces::top::data::Data;
use crate::surfaces::top::table::{Column, Table};

/// The list of interfaces, and what of it is seen.
#[derive(Debug, Default)]
pub struct Interfaces {
    cursor: Cursor,
}

impl Interfaces {
    /// Moves; so many lines have room for it.
    pub fn go(&mut self, step: Move, data: &Data, height: usize) {
        let rows = data
            .status
            .as_ref()
            .map_or(0, |status| status.interfaces.len());
        self.cursor.go(step, rows, height.saturating_sub(1));
    }

    /// Draws it.
    pub fn draw(&self, data: &Data, canvas: &mut Canvas<'_>) {
        let Some(status) = &data.status else { return };
        let mut sorted: Vec<&InterfaceStatus> = status.interfaces.iter().collect();
        // Those that are not audited first; a stable sort.
        sorted.sort_by_key(|interface| interface.refused.is_none());
        let several = data.has_several_namespaces();
        let column = |heading, least, rank| Column {
            heading: Text::left(heading),
            least,
            rank,
        };
        let mut columns = vec![column("interface", 9, 0)];
        columns.extend(several.then(|| column("netns", 8, 1)));
        columns.extend([column("state", 11, 0), column("why", 10, 2)]);
        let window = self
            .cursor
            .window(sorted.len(), canvas.height().saturating_sub(1));
        let selected = self.cursor.selected(sorted.len());
        let selected = selected.and_then(|row| row.checked_sub(window.start));
        let rows = sorted[window].iter().map(|interface| {
            let mut row = vec![Text::left(&*interface.name)];
            row.extend(several.then(|| Text::left(&*interface.netns)));
            row.extend(match &interface.refused {
                None => [Text::left("audited"), Text::left("")],
                Some(why) => [
                    Text::left("not audited").styled(look::of_severity(Severity::Risk)),
                    Text::left(&**why),
                ],
            });
            row
        });
        let rows: Vec<_> = rows.collect();
        let seen = rows.len();
        Table { columns, rows }.draw(canvas, 0..seen, selected);
    }
}
