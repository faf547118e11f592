//! `pinif run`: whatever a command does, its packets leave by the device or not at all, and all of them are counted.

mod arrivals;
mod attempts;
mod birth;
mod ends;
mod follows;
mod groups;
mod multipath;
mod refusals;

use std::fs;

use crate::bench::Bench;

/// What the card's default route would lead out of eth1, if nothing were pinned.
const INSIDE: &str = "10.9.0.9:9";

/// The cgroup of the one command that runs.
fn cgroup_of_command(bench: &Bench) -> std::path::PathBuf {
    let mut found = fs::read_dir(bench.cgroup_path())
        .expect("the cgroup is there")
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    found.next().expect("a command runs").path()
}

/// The exit status of `sh -c SCRIPT`.
fn status(bench: &Bench, script: &str) -> std::process::ExitStatus {
    let mut run = bench.pinned("fab0", "");
    run.args(["sh", "-c", script]);
    bench.held(run).output.status
}
