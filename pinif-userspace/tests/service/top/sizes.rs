//! Any size, any keys, any names: nothing panics, and each cell of a terminal has what was drawn there.

use std::num::NonZeroU16;

use pinif_userspace::surfaces::look::Look;
use pinif_userspace::surfaces::top::{Effect, Input};
use ratatui_core::backend::Backend as _;
use ratatui_core::buffer::Buffer;
use ratatui_crossterm::CrosstermBackend;

use super::hazards;
use super::screen::{Screen, text, width};

/// Numbers that look random, and are the same each time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn size(&mut self, most: u64) -> u16 {
        u16::try_from(self.below(most)).expect("a small number")
    }
}

/// All keys that do something, and some that do nothing.
const KEYS: [&str; 31] = [
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "<tab>",
    "<up>",
    "<down>",
    "<left>",
    "<right>",
    "<pgup>",
    "<pgdn>",
    "<home>",
    "<end>",
    "<enter>",
    "<esc>",
    "/",
    "s",
    " ",
    "?",
    "j",
    "k",
    "h",
    "l",
    "g",
    "G",
    "x",
    "日",
    "leak",
    "<backspace>",
];

/// What a terminal shows that is sent this screen.
fn terminal(buffer: &Buffer) -> vt100::Parser {
    let mut bytes = Vec::new();
    let mut backend = CrosstermBackend::new(&mut bytes);
    let empty = Buffer::empty(buffer.area);
    let cells = empty.diff(buffer);
    backend
        .draw(cells.into_iter())
        .expect("no error comes of memory");
    let one = |number| NonZeroU16::new(number).expect("more than none");
    let mut parser = vt100::Parser::new(one(buffer.area.height), one(buffer.area.width), 0);
    parser.process(&bytes);
    parser
}

#[track_caller]
fn each_cell_is_whole(buffer: &Buffer) {
    if buffer.area.is_empty() {
        return;
    }
    let terminal = terminal(buffer);
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            let shown = terminal.screen().cell(y, x).expect("a cell");
            let shown = match shown.contents() {
                "" => " ",
                shown => shown,
            };
            assert_eq!(shown, symbol, "column {x} of line {y} of\n{}", text(buffer));
            x += u16::try_from(width(symbol)).expect("one or two");
        }
        assert_eq!(x, buffer.area.width, "line {y} ends where the screen does");
    }
}

#[test]
fn a_thousand_sizes_and_keys() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut screen = Screen::new(Look { colour: true }, 80, 24);
    screen.fetched(hazards::fetched(1));
    for step in 0..1000 {
        let (columns, lines) = match random.below(3) {
            0 => (random.size(42), random.size(12)),
            _ => (30 + random.size(171), 8 + random.size(53)),
        };
        screen.resize(columns, lines);
        let key = KEYS[usize::try_from(random.below(31)).expect("a small number")];
        if matches!(screen.keys(key), Effect::Quit) {
            unreachable!("no key among these ends it");
        }
        if step % 7 == 0 {
            screen.on(Input::Fetched(Box::new(hazards::fetched(2 + step / 7))));
        }
        let buffer = screen.buffer();
        assert_eq!((buffer.area.width, buffer.area.height), (columns, lines));
        each_cell_is_whole(&buffer);
    }
}

#[test]
fn no_name_does_anything_but_be_seen() {
    let mut screen = Screen::new(Look { colour: true }, 200, 60);
    screen.fetched(hazards::fetched(1));
    screen.fetched(hazards::fetched(2));
    for view in ["1", "2", "3", "4", "5", "6", "3<enter>"] {
        screen.keys(view);
        let text = screen.text();
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text}"
        );
        assert!(
            !text.contains(['\u{202e}', '\u{301}', '\u{200d}', '\u{1f3fd}', '\u{1f1e9}']),
            "{text}"
        );
        if view != "1" {
            assert!(text.contains("\\x1b[2J"), "{view}: {text}");
        }
    }
}
