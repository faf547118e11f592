//! Prometheus, of Debian's package: the rules of `contrib/prometheus` are tried by its own tool, and the tests have it read pinif's
//! metrics.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result};

use crate::{
    debian::apt::{Apt, Architecture, Extent},
    process::run,
    report::Report,
    tally::Totals,
    vm::Absence,
    workspace::Workspace,
};

/// What is used of the package.
const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];
/// Where the tests find them, as the environment says it.
pub const VARIABLE: &str = "PINIF_TEST_PROMETHEUS";
/// What is tried.
const RULES: &str = "pinif.rules.yml";
const TESTS: &str = "pinif.rules.test.yml";

/// Where the programs are, once they were brought.
pub fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vm/prometheus")
}

/// Finds the programs in their directory, or brings them there.
///
/// # Errors
/// Where apt cannot download the package, or it cannot be unpacked.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let directory = directory(workspace);
    if !PROGRAMS.iter().all(|name| directory.join(name).exists()) {
        let apt = Apt::new(workspace, Architecture::Own)?;
        apt.unpack(&["prometheus"], Extent::Alone, &directory, keep_programs)?;
    }
    Ok(directory)
}

/// Leaves of the unpacked package the programs alone: its web page is large.
fn keep_programs(directory: &Path) -> Result<()> {
    for name in PROGRAMS {
        fs::rename(directory.join("usr/bin").join(name), directory.join(name))
            .with_context(|| format!("the package has no {name}"))?;
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

/// Tries the rules, and adds to the report whether all holds. What could not be brought is skipped; a failure where nothing may be.
pub fn check(workspace: &Workspace, programs: &Result<PathBuf>, report: &mut Report) {
    let name = "the alert rules";
    let started = Instant::now();
    let programs = match programs {
        Ok(programs) => programs,
        Err(error) => {
            let absence = Absence::here();
            let sentence = absence.sentence("promtool", &format!("{error:#}"));
            println!("{sentence}");
            return report.add_tests(name, started.elapsed(), absence.totals(), true);
        }
    };
    let success = ["check", "test"].iter().all(|what| {
        let file = if *what == "check" { RULES } else { TESTS };
        let mut promtool = Command::new(programs.join("promtool"));
        promtool
            .current_dir(workspace.root.join("contrib/prometheus"))
            .args([what, "rules", file]);
        let tried = run(&mut promtool);
        if let Err(error) = &tried {
            println!("{name} failed: {error:#}");
        }
        tried.is_ok()
    });
    let totals = Totals {
        passed: usize::from(success),
        failed: usize::from(!success),
        skipped: 0,
    };
    report.add_tests(name, started.elapsed(), totals, success);
}
