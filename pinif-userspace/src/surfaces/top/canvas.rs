//! A part of the screen. All that is drawn goes through [`Canvas::put`]: no text passes its place, and none does anything but be seen.

use anstyle::{Effects, Style};
use ratatui_core::{buffer::Buffer, layout::Rect};

use crate::surfaces::look::Look;
use crate::text::escape::{columns, in_cells};

/// What stands for the rest of a text that has no room.
const CUT: char = '…';

/// A part of the screen.
#[derive(Debug)]
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    look: Look,
}

impl<'a> Canvas<'a> {
    /// The part of a screen.
    pub fn new(buffer: &'a mut Buffer, area: Rect, look: Look) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area, look }
    }

    /// How many columns it has.
    pub fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    /// How many lines it has.
    pub fn height(&self) -> usize {
        usize::from(self.area.height)
    }

    /// Its lines from one on, as many as there are of so many.
    pub fn lines(&mut self, from: usize, number: usize) -> Canvas<'_> {
        let from = from.min(self.height());
        let number = number.min(self.height() - from);
        let area = Rect {
            y: self.area.y + narrow(from),
            height: narrow(number),
            ..self.area
        };
        Canvas::new(self.buffer, area, self.look)
    }

    /// Its first columns, as many as there are of so many.
    pub fn columns(&mut self, number: usize) -> Canvas<'_> {
        let width = narrow(number).min(self.area.width);
        let area = Rect { width, ..self.area };
        Canvas::new(self.buffer, area, self.look)
    }

    /// Puts a text into so many columns of a line, and says how many it took. What has no room is cut off, and seen to be.
    pub fn put(&mut self, x: usize, y: usize, most: usize, text: &str, style: Style) -> usize {
        if y >= self.height() {
            return 0;
        }
        let room = most.min(self.width().saturating_sub(x));
        let style = self.style(style);
        let mut at = 0;
        for character in fitted(text, room).chars() {
            let mut symbol = [0; 4];
            let symbol = character.encode_utf8(&mut symbol);
            let taken = columns(symbol);
            for place in 0..taken {
                let on_screen = self.place(x + at + place, y);
                let cell = &mut self.buffer[on_screen];
                cell.reset();
                if place == 0 {
                    cell.set_symbol(symbol);
                }
                cell.set_style(style);
            }
            at += taken;
        }
        at
    }

    /// Puts a text at the end of so many columns.
    pub fn put_right(&mut self, x: usize, y: usize, columns: usize, text: &str, style: Style) {
        let taken = crate::text::escape::columns(&in_cells(text)).min(columns);
        self.put(x + columns - taken, y, taken, text, style);
    }

    /// Shows a line to be the one that keys act on.
    pub fn select(&mut self, y: usize) {
        if y < self.height() {
            let line = Rect {
                y: self.area.y + narrow(y),
                height: 1,
                ..self.area
            };
            let reversed = Style::new().effects(Effects::INVERT);
            self.buffer
                .set_style(line, ratatui_core::style::Style::from(reversed));
        }
    }

    fn place(&self, x: usize, y: usize) -> (u16, u16) {
        (self.area.x + narrow(x), self.area.y + narrow(y))
    }

    fn style(&self, style: Style) -> ratatui_core::style::Style {
        let style = if self.look.colour {
            style
        } else {
            style.fg_color(None).bg_color(None).underline_color(None)
        };
        style.into()
    }
}

/// The text in so many columns, safe for cells.
pub fn fitted(text: &str, most: usize) -> String {
    let text = in_cells(text);
    if columns(&text) <= most {
        return text.into_owned();
    }
    let mut fitted = String::with_capacity(most + 4);
    let mut room = most.saturating_sub(1);
    for character in text.chars() {
        let needed = columns(character.encode_utf8(&mut [0; 4]));
        if needed > room {
            break;
        }
        room -= needed;
        fitted.push(character);
    }
    if most > 0 {
        fitted.push(CUT);
    }
    fitted
}

/// A place on a screen: no screen has more than 65,535 lines or columns.
fn narrow(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(width: u16, draw: impl FnOnce(&mut Canvas<'_>)) -> Vec<String> {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, 2));
        draw(&mut Canvas::new(
            &mut buffer,
            Rect::new(0, 0, width, 9),
            Look::PLAIN,
        ));
        let lines = buffer.content().chunks(usize::from(width));
        lines
            .map(|line| line.iter().map(|cell| cell.symbol()).collect())
            .collect()
    }

    #[test]
    fn what_has_no_room_is_cut_off() {
        let drawn = lines(6, |canvas| {
            assert_eq!(canvas.put(0, 0, 9, "telemetryd", Style::new()), 6);
            assert_eq!(canvas.put(2, 1, 3, "日本", Style::new()), 3);
            assert_eq!(canvas.put(0, 2, 9, "below", Style::new()), 0);
            assert_eq!(canvas.put(9, 0, 9, "beside", Style::new()), 0);
        });
        assert_eq!(drawn, ["telem…", "  日 … "]);
    }

    #[test]
    fn a_hostile_name_takes_the_place_that_it_is_given() {
        let drawn = lines(40, |canvas| {
            canvas.put(
                0,
                0,
                40,
                "a\u{1b}[2J\u{202e}e\u{301}👍\u{1f3fd}",
                Style::new(),
            );
        });
        assert_eq!(drawn[0], "a\\x1b[2J\\u{202e}e\\u{301}👍 \\u{1f3fd}     ");
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let drawn = lines(8, |canvas| canvas.put_right(1, 0, 5, "1,040", Style::new()));
        assert_eq!(drawn[0], " 1,040  ");
        let drawn = lines(8, |canvas| canvas.put_right(1, 0, 3, "1,040", Style::new()));
        assert_eq!(drawn[0], " 1,…    ");
    }
}
