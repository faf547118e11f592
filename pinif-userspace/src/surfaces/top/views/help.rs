//! The keys.

use anstyle::Style;

use crate::surfaces::look;
use crate::surfaces::top::canvas::Canvas;
use crate::surfaces::top::cursor::{Cursor, Move};
use crate::surfaces::top::keys::BINDINGS;
use crate::surfaces::top::page::Page;

/// The help, and what of it is seen.
#[derive(Debug, Default)]
pub struct Help {
    cursor: Cursor,
}

impl Help {
    /// Scrolls, on a screen of this size.
    pub fn go(&mut self, step: Move, (width, height): (usize, usize)) {
        self.cursor.scroll(step, page().height(width), height);
    }

    /// Draws it.
    pub fn draw(&self, canvas: &mut Canvas<'_>) {
        let page = page();
        let lines = page.height(canvas.width());
        page.draw(canvas, self.cursor.scrolled(lines, canvas.height()));
    }
}

fn page() -> Page {
    let mut page = Page::default();
    for binding in BINDINGS.iter().filter(|binding| !binding.shown.is_empty()) {
        page.field(binding.shown, binding.does, Style::new());
    }
    page.gap();
    page.text(
        "In the matrix a row is what sockets are bound to, a column is the interface that packets left by: how many, and how many a second.",
        look::faint(),
    );
    page
}
