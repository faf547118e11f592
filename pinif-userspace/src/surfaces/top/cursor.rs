//! Which row of a list keys act on, and which rows are seen.

use std::ops::Range;

/// A place in a list, and the first row that is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    selected: usize,
    offset: usize,
}

/// How a cursor moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// To the row before.
    Up,
    /// To the row after.
    Down,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
}

impl Cursor {
    /// The selected row of so many; none of none.
    pub fn selected(self, rows: usize) -> Option<usize> {
        rows.checked_sub(1).map(|last| self.selected.min(last))
    }

    /// How many rows of a list are wanted where so many are seen at once, `most` at most: always a screen more than is seen.
    pub fn wanted(self, seen: usize, most: usize) -> usize {
        (self.selected + 2 * seen.max(50))
            .next_multiple_of(100)
            .min(most)
    }

    /// Moves in a list of so many rows, of which so many are seen at once.
    pub fn go(&mut self, step: Move, rows: usize, seen: usize) {
        let (at, page) = (self.selected.min(rows.saturating_sub(1)), seen.max(1));
        let to = match step {
            Move::Up => at.saturating_sub(1),
            Move::Down => at + 1,
            Move::PageUp => at.saturating_sub(page),
            Move::PageDown => at + page,
            Move::First => 0,
            Move::Last => usize::MAX,
        };
        self.selected = to.min(rows.saturating_sub(1));
        self.offset = self.window(rows, seen).start;
    }

    /// Scrolls what has no selected row, in the same way.
    pub fn scroll(&mut self, step: Move, rows: usize, seen: usize) {
        let last = rows.saturating_sub(seen);
        let (at, page) = (self.offset.min(last), seen.max(1));
        let to = match step {
            Move::Up => at.saturating_sub(1),
            Move::Down => at + 1,
            Move::PageUp => at.saturating_sub(page),
            Move::PageDown => at + page,
            Move::First => 0,
            Move::Last => last,
        };
        self.offset = to.min(last);
    }

    /// The rows that are seen of what has no selected row.
    pub fn scrolled(self, rows: usize, seen: usize) -> Range<usize> {
        let start = self.offset.min(rows.saturating_sub(seen));
        start..(start + seen).min(rows)
    }

    /// The rows that are seen: those that were, or the nearest that have the selected one among them.
    pub fn window(self, rows: usize, seen: usize) -> Range<usize> {
        let selected = self.selected.min(rows.saturating_sub(1));
        let nearest = (selected + 1).saturating_sub(seen);
        let start = self.offset.clamp(nearest, selected.max(nearest));
        let start = start.min(rows.saturating_sub(seen));
        start..(start + seen).min(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOVES: [Move; 6] = [
        Move::Up,
        Move::Down,
        Move::PageUp,
        Move::PageDown,
        Move::First,
        Move::Last,
    ];

    #[test]
    fn the_window_follows_the_selected_row() {
        let mut cursor = Cursor::default();
        let mut after = |step| {
            cursor.go(step, 10, 4);
            (cursor.selected(10), cursor.window(10, 4))
        };
        assert_eq!(after(Move::Down), (Some(1), 0..4));
        assert_eq!(after(Move::PageDown), (Some(5), 2..6));
        assert_eq!(after(Move::Up), (Some(4), 2..6));
        assert_eq!(after(Move::Last), (Some(9), 6..10));
        assert_eq!(after(Move::PageUp), (Some(5), 5..9));
        assert_eq!(after(Move::First), (Some(0), 0..4));
    }

    proptest! {
        #[test]
        fn the_selected_row_is_seen(steps in prop::collection::vec((0usize..6, 0usize..12, 0usize..6), 1..20)) {
            let (mut cursor, mut scrolled) = (Cursor::default(), Cursor::default());
            for (step, rows, seen) in steps {
                cursor.go(MOVES[step], rows, seen);
                scrolled.scroll(MOVES[step], rows, seen);
                for window in [cursor.window(rows, seen), scrolled.scrolled(rows, seen)] {
                    prop_assert_eq!(window.len(), rows.min(seen));
                    prop_assert!(window.end <= rows);
                }
                if let (Some(selected), 1..) = (cursor.selected(rows), seen) {
                    prop_assert!(cursor.window(rows, seen).contains(&selected));
                }
            }
        }
    }
}
