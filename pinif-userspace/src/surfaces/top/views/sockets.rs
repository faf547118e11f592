//! The sockets, those at the greatest risk first, and where each would leave.

use pinif_ebpf::verdict::Severity;

use crate::surfaces::grid::Text;
use crate::surfaces::look;
use crate::surfaces::sockets::{bound, ends, process, style, via};
use crate::surfaces::top::canvas::Canvas;
use crate::surfaces::top::cursor::{Cursor, Move};
use crate::surfaces::top::data::Data;
use crate::surfaces::top::table::{Column, Table};

use super::findings::MOST;

/// The list of sockets, and what of it is seen.
#[derive(Debug, Default)]
pub struct SocketList {
    cursor: Cursor,
}

impl SocketList {
    /// Moves; so many lines have room for it.
    pub fn go(&mut self, step: Move, data: &Data, height: usize) {
        let rows = data.sockets.first.len();
        self.cursor.go(step, rows, height.saturating_sub(1));
    }

    /// How many sockets are wanted, so that there is always a screen more than is seen.
    pub fn wanted(&self, height: usize) -> usize {
        self.cursor.wanted(height, MOST)
    }

    /// Draws it.
    pub fn draw(&self, data: &Data, canvas: &mut Canvas<'_>) {
        if let Some(refused) = &data.sockets.refused {
            canvas.put(
                0,
                0,
                canvas.width(),
                refused,
                look::of_severity(Severity::Risk),
            );
            return;
        }
        let all = &data.sockets.first;
        let height = canvas.height().saturating_sub(1);
        let window = self.cursor.window(all.len(), height);
        let selected = self.cursor.selected(all.len());
        let selected = selected.and_then(|row| row.checked_sub(window.start));
        let several = data.has_several_namespaces();
        let column = |heading, least, rank| Column {
            heading: Text::left(heading),
            least,
            rank,
        };
        let mut columns = vec![
            column("risk", 13, 0),
            column("bound to", 8, 2),
            column("leaves via", 10, 1),
        ];
        columns.extend(several.then(|| column("netns", 6, 5)));
        columns.extend([
            column("process", 12, 0),
            column("socket", 24, 3),
            column("why", 30, 4),
        ]);
        let rows = all[window].iter().map(|socket| {
            let mut row = vec![
                Text::left(&*socket.risk).styled(style(socket)),
                Text::left(bound(socket)),
                Text::left(via(socket)),
            ];
            row.extend(several.then(|| Text::left(&*socket.netns)));
            row.extend([
                Text::left(process(socket)),
                Text::left(ends(socket)),
                Text::left(&*socket.why),
            ]);
            row
        });
        let rows: Vec<_> = rows.collect();
        let seen = rows.len();
        Table { columns, rows }.draw(canvas, 0..seen, selected);
    }
}
