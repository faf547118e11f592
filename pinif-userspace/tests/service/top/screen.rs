//! A screen without a terminal, and keys by their names.

use std::time::Duration;

use pinif_userspace::surfaces::look::Look;
use pinif_userspace::surfaces::top::{Effect, Fetched, Input, Key, Top};
use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::terminal::Terminal;

/// A view on a screen.
pub struct Screen {
    pub top: Top,
    terminal: Terminal<TestBackend>,
    now: Duration,
}

impl Screen {
    /// With nothing fetched yet.
    pub fn new(look: Look, columns: u16, lines: u16) -> Self {
        let terminal = Terminal::new(TestBackend::new(columns, lines));
        Self {
            top: Top::new(look, (columns, lines)),
            terminal: terminal.expect("a screen"),
            now: Duration::ZERO,
        }
    }

    /// Something happens, a second after what happened before.
    pub fn on(&mut self, input: Input) -> Effect {
        self.now += Duration::from_secs(1);
        self.top.on(input, self.now)
    }

    /// What was fetched comes.
    pub fn fetched(&mut self, fetched: Fetched) {
        assert_eq!(self.on(Input::Fetched(Box::new(fetched))), Effect::Draw);
    }

    /// Keys are pressed at once: each a character, or a name such as `enter` between angle brackets.
    pub fn keys(&mut self, keys: &str) -> Effect {
        let mut effect = Effect::Nothing;
        for key in names(keys) {
            effect = self.top.on(Input::Key(key), self.now);
        }
        effect
    }

    /// The screen has another size.
    pub fn resize(&mut self, columns: u16, lines: u16) {
        self.terminal.backend_mut().resize(columns, lines);
        self.top.on(Input::Resize(columns, lines), self.now);
    }

    /// What is drawn.
    pub fn buffer(&mut self) -> Buffer {
        let drawn = self.terminal.draw(|frame| self.top.draw(frame));
        drawn.expect("no error comes of memory").buffer.clone()
    }

    /// The same as text, without spaces at the ends of lines.
    pub fn text(&mut self) -> String {
        text(&self.buffer())
    }
}

/// The lines of a screen.
pub fn text(buffer: &Buffer) -> String {
    let lines = buffer
        .content()
        .chunks(usize::from(buffer.area.width.max(1)));
    let mut text = String::new();
    for line in lines {
        let mut shown = String::new();
        let mut cells = line.iter();
        while let Some(cell) = cells.next() {
            shown.push_str(cell.symbol());
            // A wide character has the next cell as well.
            for _ in 1..width(cell.symbol()) {
                cells.next();
            }
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// How many cells a symbol has.
pub fn width(symbol: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(symbol)
}

fn names(keys: &str) -> Vec<Key> {
    let mut all = Vec::new();
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let (key, length) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            Some((name, _)) => (named(name), name.len() + 2),
            None => (Key::Char(first), first.len_utf8()),
        };
        all.push(key);
        rest = &rest[length..];
    }
    all
}

fn named(name: &str) -> Key {
    match name {
        "enter" => Key::Enter,
        "esc" => Key::Escape,
        "tab" => Key::Tab,
        "up" => Key::Up,
        "down" => Key::Down,
        "left" => Key::Left,
        "right" => Key::Right,
        "pgup" => Key::PageUp,
        "pgdn" => Key::PageDown,
        "home" => Key::Home,
        "end" => Key::End,
        "backspace" => Key::Backspace,
        other => panic!("there is no key {other}"),
    }
}
