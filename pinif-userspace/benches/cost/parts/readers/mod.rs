//! What it costs that others look: readers of events, one of them that stands still, and each surface of a running auditor.

mod many;
mod minute;
mod share;
mod surfaces;
mod top;
mod wait;

use anyhow::Result;

use super::Plan;
use crate::report::{Row, Section, Target};

/// How much memory an auditor may have, in MiB.
const MEMORY: f64 = 40.0;

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif, a reader or a load ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    // Samples are long, since a wake-up a second is to be seen in each.
    let rounds = plan.rounds.div_ceil(5);
    Ok(vec![
        share::run(&plan.progress, rounds)?,
        wait::run(&plan.progress, rounds)?,
        minute::run(&plan.progress)?,
        many::run(&plan.progress)?,
    ])
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn at_most(row: Row, most: f64) -> Row {
    Row {
        target: Some(Target::AtMost(most)),
        ..row
    }
}
