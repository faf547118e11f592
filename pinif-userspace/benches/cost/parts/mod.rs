//! What is measured, a file each.

pub mod alertmanager;
pub mod collector;
pub mod fleet;
pub mod floor;
pub mod instructions;
pub mod latency;
pub mod metrics;
pub mod programs;
pub mod readers;
pub mod sizes;
pub mod start;
pub mod throughput;

use anyhow::Result;

use crate::progress::Progress;
use crate::report::Section;

/// What every part is given.
#[derive(Debug)]
pub struct Plan {
    /// How often each thing is measured, all in turn.
    pub rounds: usize,
    /// Where its progress is shown.
    pub progress: Progress,
}

/// A part of the bench.
#[derive(Debug)]
pub struct Part {
    /// Its name, which `--only` takes.
    pub name: &'static str,
    /// Measures.
    pub run: fn(&Plan) -> Result<Vec<Section>>,
}

/// All of them, in the order in which they run.
pub const ALL: [Part; 12] = [
    part("programs", programs::run),
    part("floor", floor::run),
    part("sizes", sizes::run),
    part(instructions::NAME, instructions::run),
    part("throughput", throughput::run),
    part("latency", latency::run),
    part("collector", collector::run),
    part("readers", readers::run),
    part("metrics", metrics::run),
    part("alertmanager", alertmanager::run),
    part("fleet", fleet::run),
    // Last, since a thousand interfaces keep the kernel busy after they are gone.
    part("start", start::run),
];

const fn part(name: &'static str, run: fn(&Plan) -> Result<Vec<Section>>) -> Part {
    Part { name, run }
}
