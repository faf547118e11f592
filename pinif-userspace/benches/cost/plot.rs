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

const WIDTH: u32 = 920;
const ROW: i32 = 18;
const GAP: i32 = 10;
/// Where bars begin, and how long the longest is.
const LEFT: i32 = 300;
const LENGTH: i32 = 500;

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

/// Draws what the programs take, and what is left of the rates.
///
/// # Errors
/// Where the file cannot be written.
pub fn draw(sections: &[Section], file: &Path) -> Result<()> {
    let panels: Vec<Panel> = [programs(sections), rates(sections)]
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
    let section = sections
        .iter()
        .find(|section| section.name == "programs" && section.columns == ["traffic", "with"])?;
    let mut legend: Vec<String> = Vec::new();
    for row in &section.rows {
        if !legend.contains(&row.of[1]) {
            legend.push(row.of[1].clone());
        }
    }
    Some(Panel {
        title: "Nanoseconds a run of pinif's program at the egress, over an empty program"
            .to_owned(),
        groups: groups(&section.rows, |row| {
            legend.iter().position(|name| *name == row.of[1])
        }),
        legend,
        decimals: 0,
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
        write(root, &self.title, (20, y), &text(15).pos(left))?;
        if !self.legend.is_empty() {
            y += ROW + 4;
            let mut x = LEFT;
            for (number, name) in self.legend.iter().enumerate() {
                root.draw(&Rectangle::new(
                    [(x, y - 5), (x + 10, y + 5)],
                    COLOURS[number].filled(),
                ))?;
                write(root, name, (x + 16, y), &text(12).pos(left))?;
                x += 180;
            }
        }
        y += ROW + GAP / 2;
        let scale = f64::from(LENGTH) / self.longest();
        let place = |value: f64| LEFT + (value * scale).round() as i32;
        for (name, bars) in &self.groups {
            let middle = y + bars.len() as i32 * ROW / 2;
            write(root, name, (LEFT - 10, middle), &text(12).pos(right))?;
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
                if let Some(Target::AtMost(bound) | Target::AtLeast(bound)) = bar.target {
                    line(root, [(place(bound), y), (place(bound), y + ROW)], TARGET)?;
                }
                let figure = format!("{median:.*}", self.decimals);
                let behind = (place(median.max(upper)) + 8, middle);
                write(root, &figure, behind, &text(12).pos(left))?;
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
