//! The figures that matter most, as a picture.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    DrawingArea, IntoDrawingArea as _, PathElement, RGBColor, Rectangle, SVGBackend, Text, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, ShapeStyle, TextStyle};

use crate::report::{Row, Section, Target};
use crate::statistics::Spread;

/// The parts that are shown.
pub const SHOWN: [&str; 2] = ["programs", "throughput"];

const WIDTH: u32 = 960;
const ROW: i32 = 18;
const GAP: i32 = 10;
/// Where bars begin, and how long the longest is.
const LEFT: i32 = 380;
const LENGTH: i32 = 480;

const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const FAINT: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);
const TARGET: RGBColor = RGBColor(0xc0, 0x30, 0x30);
const COLOURS: [RGBColor; 3] = [
    RGBColor(0x2b, 0x6c, 0xb0),
    RGBColor(0x90, 0xbc, 0xe0),
    RGBColor(0x9a, 0x9a, 0x9a),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Bars with a heading, in groups.
struct Panel {
    title: String,
    legend: Vec<String>,
    groups: Vec<(String, Vec<Bar>)>,
    decimals: usize,
}

struct Bar {
    colour: usize,
    spread: Spread,
    target: Option<Target>,
}

/// Draws what the programs take, also as a ratio to the least, and what is left of the rates.
///
/// # Errors
/// Where the file cannot be written.
pub fn draw(sections: &[Section], file: &Path) -> Result<()> {
    let panels: Vec<Panel> = [programs(sections), ratios(sections), rates(sections)]
        .into_iter()
        .flatten()
        .collect();
    let height: i32 = panels.iter().map(Panel::height).sum();
    let root = SVGBackend::new(file, (WIDTH, height.unsigned_abs())).into_drawing_area();
    let drawn = || -> Result<(), Box<dyn std::error::Error>> {
        root.fill(&WHITE)?;
        let mut top = 0;
        for panel in &panels {
            panel.draw(&root, top)?;
            top += panel.height();
        }
        Ok(root.present()?)
    };
    drawn().map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

fn programs(sections: &[Section]) -> Option<Panel> {
    let title = "Nanoseconds a run of pinif's program at the egress, over an empty program";
    panel_of_programs(sections, &["traffic", "with"], title, 0, |_| true)
}

/// Of those that have a bound: the others would leave no room for these.
fn ratios(sections: &[Section]) -> Option<Panel> {
    let title = "The same, as a ratio to the least program of the same round";
    let is_shown = |row: &Row| row.target.is_some();
    panel_of_programs(sections, &["traffic", "with", "what"], title, 2, is_shown)
}

/// A panel of the section of `programs` with these columns, a colour for each of the second's words.
fn panel_of_programs(
    sections: &[Section],
    columns: &[&str],
    title: &str,
    decimals: usize,
    is_shown: impl Fn(&Row) -> bool,
) -> Option<Panel> {
    let section = sections
        .iter()
        .find(|section| section.name == "programs" && section.columns == columns)?;
    let mut legend: Vec<String> = Vec::new();
    for row in &section.rows {
        if !legend.contains(&row.of[1]) {
            legend.push(row.of[1].clone());
        }
    }
    Some(Panel {
        title: title.to_owned(),
        groups: groups(&section.rows, |row| {
            let place = legend.iter().position(|name| *name == row.of[1]);
            place.filter(|_| is_shown(row))
        }),
        legend,
        decimals,
    })
}

fn rates(sections: &[Section]) -> Option<Panel> {
    let section = sections
        .iter()
        .find(|section| section.name == "throughput")?;
    let shares = section.rows.iter().filter(|row| row.of[2] != "rate");
    let rows = shares.map(|row| Row {
        of: vec![format!("{}: {}", row.of[0], row.of[1])],
        missing: row.missing.clone(),
        rounds: Vec::new(),
        ..*row
    });
    Some(Panel {
        title: "What is left of the rate, of a host with nothing attached".to_owned(),
        groups: groups(&rows.collect::<Vec<_>>(), |row| {
            Some(if row.of[0].ends_with(": pinif") { 0 } else { 2 })
        }),
        legend: Vec::new(),
        decimals: 3,
    })
}

/// The rows' bars, under their first words.
fn groups(rows: &[Row], colour: impl Fn(&Row) -> Option<usize>) -> Vec<(String, Vec<Bar>)> {
    let mut groups: Vec<(String, Vec<Bar>)> = Vec::new();
    for row in rows {
        let (Some(spread), Some(colour)) = (row.measured, colour(row)) else {
            continue;
        };
        let bar = Bar {
            colour,
            spread,
            target: row.target,
        };
        match groups.last_mut().filter(|(name, _)| *name == row.of[0]) {
            Some((_, bars)) => bars.push(bar),
            None => groups.push((row.of[0].clone(), vec![bar])),
        }
    }
    groups
}

impl Panel {
    fn height(&self) -> i32 {
        let bars: usize = self.groups.iter().map(|(_, bars)| bars.len()).sum();
        let heads = if self.legend.is_empty() { 2 } else { 3 };
        (bars + heads) as i32 * ROW + (self.groups.len() as i32 + 2) * GAP
    }

    fn draw(&self, root: &Area, top: i32) -> Result<(), Box<dyn std::error::Error>> {
        let text = |size| ("sans-serif", size).into_font().color(&INK);
        let left = Pos::new(HPos::Left, VPos::Center);
        let right = Pos::new(HPos::Right, VPos::Center);
        let mut y = top + GAP + ROW;
        write(root, &self.title, (20, y), &text(18).pos(left))?;
        if !self.legend.is_empty() {
            y += ROW + 4;
            let mut x = LEFT;
            for (number, name) in self.legend.iter().enumerate() {
                root.draw(&Rectangle::new(
                    [(x, y - 5), (x + 10, y + 5)],
                    COLOURS[number].filled(),
                ))?;
                write(root, name, (x + 16, y), &text(14).pos(left))?;
                x += 180;
            }
            line(root, [(20, y - 6), (20, y + 6)], TARGET)?;
            write(root, "target", (28, y), &text(14).pos(left))?;
        }
        y += ROW + GAP / 2;
        let scale = f64::from(LENGTH) / self.longest();
        let place = |value: f64| LEFT + (value * scale).round() as i32;
        for (name, bars) in &self.groups {
            let middle = y + bars.len() as i32 * ROW / 2;
            write(root, name, (LEFT - 10, middle), &text(14).pos(right))?;
            for bar in bars {
                let Spread {
                    median,
                    lower,
                    upper,
                    ..
                } = bar.spread;
                let fill = COLOURS[bar.colour].filled();
                root.draw(&Rectangle::new(
                    [(LEFT, y + 3), (place(median), y + ROW - 3)],
                    fill,
                ))?;
                let middle = y + ROW / 2;
                line(root, [(place(lower), middle), (place(upper), middle)], INK)?;
                let mut behind = place(median.max(upper)) + 8;
                if let Some(Target::AtMost(bound) | Target::AtLeast(bound)) = bar.target {
                    let target = place(bound);
                    line(root, [(target, y), (target, y + ROW)], TARGET)?;
                    // The figure is not written across it.
                    if (behind - 8..behind + 40).contains(&target) {
                        behind = target + 8;
                    }
                }
                let figure = format!("{median:.*}", self.decimals);
                write(root, &figure, (behind, middle), &text(14).pos(left))?;
                y += ROW;
            }
            y += GAP;
        }
        line(
            root,
            [(20, y + GAP / 2), (WIDTH as i32 - 20, y + GAP / 2)],
            FAINT,
        )
    }

    fn longest(&self) -> f64 {
        let bars = self.groups.iter().flat_map(|(_, bars)| bars);
        bars.map(|bar| bar.spread.upper.max(bar.spread.median))
            .fold(f64::MIN_POSITIVE, f64::max)
    }
}

fn write(
    root: &Area,
    text: &str,
    at: (i32, i32),
    style: &TextStyle,
) -> Result<(), Box<dyn std::error::Error>> {
    Ok(root.draw(&Text::new(text, at, style.clone()))?)
}

fn line(
    root: &Area,
    ends: [(i32, i32); 2],
    colour: RGBColor,
) -> Result<(), Box<dyn std::error::Error>> {
    Ok(root.draw(&PathElement::new(ends, ShapeStyle::from(&colour)))?)
}
