//! What a run of each program takes, by the kernel's own statistics, over that of an empty program at the same place.
//!
//! Both see the same packets and calls, one behind the other. The kernel takes the time of a program with what it goes on
//! with by tail calls. Beside pinif, on a site like its own with the same loads, the least that such a program can be is
//! measured, and what others attach: each is first at its hooks, so that each finds the caches as the kernel left them.

mod loads;
mod sample;
mod stage;
mod tables;

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};

use super::Plan;
use crate::report::Section;
pub(super) use loads::{DESTINATIONS, SOCKETS};
pub(super) use sample::{MILLISECONDS, mean, send_in_shares};
use stage::{Measured, Stage, What};

/// After how many rounds all is built anew: where the kernel happens to put a program and its maps makes some
/// nanoseconds' difference, which lasts as long as they do.
const ROUNDS_OF_A_BUILD: usize = 3;

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif or a load ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    let _counting =
        enable_stats(Stats::RunTime).context("the kernel keeps no statistics of programs")?;
    let mut measured = Measured::default();
    let mut round = 0;
    while round < plan.rounds {
        plan.progress.say("programs: building");
        let mut stages = [
            Stage::few(What::Pinif)?,
            Stage::few(What::Least)?,
            Stage::few(What::Once)?,
            Stage::few(What::Recognizing)?,
            Stage::few(What::Naming)?,
            Stage::few(What::Restriction)?,
            Stage::few(What::Flows)?,
            Stage::many(What::Pinif)?,
            Stage::many(What::Least)?,
            Stage::many(What::Once)?,
            Stage::many(What::Recognizing)?,
            Stage::many(What::Naming)?,
        ];
        for _ in 0..ROUNDS_OF_A_BUILD.min(plan.rounds - round) {
            plan.progress.round("programs", round, plan.rounds);
            for stage in &mut stages {
                stage.sample(&mut measured)?;
            }
            round += 1;
        }
    }
    Ok(vec![
        tables::egress(&measured),
        tables::egress_of_least(&measured),
        tables::growth(&measured),
        tables::hooks(&measured),
        tables::lives(&measured),
        tables::others(&measured),
    ])
}
