//! One sample: loads that send, and what programs took meanwhile.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::bpf::{Attached, Runs};
use crate::load::Load;

/// How long each sample is.
pub const MILLISECONDS: u64 = 60;
/// How often a program must have run in a sample: fewer are by chance.
const LEAST_RUNS: u64 = 100;

/// Has loads send one after the other, each for its share of the time. Returns how much they sent, in what each counts.
pub fn send_in_shares(loads: &mut [Load], milliseconds: u64) -> Result<u64> {
    let share = milliseconds.div_ceil(loads.len() as u64);
    let mut count = 0;
    for load in loads {
        count += load.send(share)?.count;
    }
    Ok(count)
}

/// The runs of programs between two moments; nothing where one of them is gone.
pub fn runs(
    programs: &mut dyn Iterator<Item = &Attached>,
    before: &BTreeMap<u32, Runs>,
    after: &BTreeMap<u32, Runs>,
) -> Option<Runs> {
    let mut all = Runs::default();
    for Attached { program, .. } in programs {
        let runs = after.get(program)?.since(*before.get(program)?);
        all.count += runs.count;
        all.time += runs.time;
    }
    Some(all)
}

/// The mean time of a run between two moments, in nanoseconds; nothing of too few.
pub fn mean(
    programs: &mut dyn Iterator<Item = &Attached>,
    before: &BTreeMap<u32, Runs>,
    after: &BTreeMap<u32, Runs>,
) -> Option<f64> {
    mean_of(runs(programs, before, after)?)
}

/// The mean time of a run, in nanoseconds; nothing of too few.
pub fn mean_of(runs: Runs) -> Option<f64> {
    (runs.count >= LEAST_RUNS).then(|| runs.time.as_nanos() as f64 / runs.count as f64)
}
