//! What is measured, a file each.

pub mod programs;
pub mod sizes;
pub mod throughput;

use anyhow::Result;

use crate::progress::Progress;
use crate::report::Section;

/// What every part is given.
#[derive(Debug)]
pub struct Plan {
    /// How often each thing is measured, all in turn.
    pub rounds: usize,
    /// Where it is told how far it is.
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
pub const ALL: [Part; 3] = [
    Part {
        name: "programs",
        run: programs::run,
    },
    Part {
        name: "sizes",
        run: sizes::run,
    },
    Part {
        name: "throughput",
        run: throughput::run,
    },
];
