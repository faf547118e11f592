//! A screen as a picture, made of its cells: for light and dark pages, and with text that can be found and copied.

use std::fmt::Write as _;

use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::style::{Color, Modifier};

/// How wide and high a cell is, in pixels.
const CELL: (usize, usize) = (8, 18);
/// Around the screen, in pixels.
const EDGE: usize = 12;

/// The colours on a light page, and on a dark one.
const STYLE: &str = "\
.page{fill:#fff}text{fill:#24292f;font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}\
.bar{fill:#24292f}.on{fill:#fff}.red{fill:#c4192d}.yellow{fill:#8a6100}.bold{font-weight:700}.dim{fill-opacity:.6}\
@media(prefers-color-scheme:dark){.page{fill:#0d1117}text{fill:#e6edf3}.bar{fill:#e6edf3}.on{fill:#0d1117}\
.red{fill:#ff7b72}.yellow{fill:#e3b341}}";

/// The picture of a screen, which shows this.
pub fn picture(buffer: &Buffer, what: &str) -> String {
    let (columns, lines) = (
        usize::from(buffer.area.width),
        usize::from(buffer.area.height),
    );
    let (width, height) = (columns * CELL.0 + 2 * EDGE, lines * CELL.1 + 2 * EDGE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{what}\">\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n",
        what = escaped(what)
    );
    for (y, line) in buffer.content().chunks(columns).enumerate() {
        for (x, run) in runs(line) {
            picture_of_run(&mut svg, x, y, run);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The cells of a line that look the same and stand beside each other, with where they begin.
fn runs(line: &[Cell]) -> Vec<(usize, &[Cell])> {
    let mut runs = Vec::new();
    let mut start = 0;
    for end in 1..=line.len() {
        let look = |cell: &Cell| (cell.fg, cell.modifier);
        if end == line.len() || look(&line[end]) != look(&line[start]) {
            runs.push((start, &line[start..end]));
            start = end;
        }
    }
    runs
}

fn picture_of_run(svg: &mut String, x: usize, y: usize, run: &[Cell]) {
    let text: String = run.iter().map(Cell::symbol).collect();
    let (left, top) = (EDGE + x * CELL.0, EDGE + y * CELL.1);
    let width = run.len() * CELL.0;
    // Writing to a string cannot fail.
    if is_reversed(&run[0]) {
        let _ = writeln!(
            svg,
            "<rect class=\"bar{}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{}\"/>",
            colour(&run[0]).map_or(String::new(), |colour| format!(" {colour}")),
            CELL.1
        );
    }
    let bare = text.trim();
    if bare.is_empty() {
        return;
    }
    let before = text
        .chars()
        .take_while(|character| *character == ' ')
        .count();
    let (left, width) = (left + before * CELL.0, bare.chars().count() * CELL.0);
    let classes = classes(&run[0]).join(" ");
    let class = match classes.is_empty() {
        true => String::new(),
        false => format!(" class=\"{classes}\""),
    };
    let _ = writeln!(
        svg,
        "<text{class} x=\"{left}\" y=\"{}\" textLength=\"{width}\">{}</text>",
        top + 13,
        escaped(bare)
    );
}

fn is_reversed(cell: &Cell) -> bool {
    cell.modifier.contains(Modifier::REVERSED)
}

fn colour(cell: &Cell) -> Option<&'static str> {
    match cell.fg {
        Color::Red => Some("red"),
        Color::Yellow => Some("yellow"),
        _ => None,
    }
}

fn classes(cell: &Cell) -> Vec<&'static str> {
    let mut classes = Vec::new();
    if is_reversed(cell) {
        // Its colour is that of what is behind it.
        classes.push("on");
    } else {
        classes.extend(colour(cell));
    }
    for (modifier, class) in [(Modifier::BOLD, "bold"), (Modifier::DIM, "dim")] {
        if cell.modifier.contains(modifier) {
            classes.push(class);
        }
    }
    classes
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
