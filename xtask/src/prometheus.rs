//! Prometheus and its Alertmanager, of Debian's packages: the rules of `contrib/prometheus` are tried by Prometheus' own tool, and the
//! tests have it read pinif's metrics.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::Result;

use crate::{
    debian::apt::{Apt, Architecture, Extent, keep_alone},
    process::run,
    report::Report,
    vm::Absence,
    workspace::Workspace,
};

/// The packages, and what is used of them.
const PACKAGES: [&str; 2] = ["prometheus", "prometheus-alertmanager"];
const PROGRAMS: [&str; 3] = ["prometheus", "promtool", "prometheus-alertmanager"];
/// What Alertmanager does not start without: it looks for these below [`SHARE`].
const TEMPLATES: [&str; 2] = ["default.tmpl", "email.tmpl"];
const SHARE: &str = "usr/share/prometheus/alertmanager";
/// Where the tests find them, as the environment says it.
pub const VARIABLE: &str = "PINIF_TEST_PROMETHEUS";
/// What is tried, below `contrib`: rules of this name, and tests of them beside them.
const RULES: [(&str, &str); 2] = [("prometheus", "pinif"), ("chassis", "chassis")];

/// Where the programs are, once they were brought.
pub fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vm/prometheus")
}

/// Finds the programs in their directory, or brings them there.
///
/// # Errors
/// Where apt cannot download a package, or it cannot be unpacked.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let directory = directory(workspace);
    let mut all = PROGRAMS.iter().chain(&TEMPLATES);
    if !all.all(|name| directory.join(name).exists()) {
        let apt = Apt::new(workspace, Architecture::Own)?;
        apt.unpack(&PACKAGES, Extent::Alone, &directory, keep_programs)?;
    }
    Ok(directory)
}

/// Leaves of the unpacked packages the programs and the templates alone: their web pages are large.
fn keep_programs(directory: &Path) -> Result<()> {
    let programs = PROGRAMS.map(|name| ("usr/bin", name));
    let templates = TEMPLATES.map(|name| (SHARE, name));
    keep_alone(directory, programs.into_iter().chain(templates))
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
    let tried = RULES.iter().flat_map(|(folder, rules)| {
        [
            (folder, "check", format!("{rules}.rules.yml")),
            (folder, "test", format!("{rules}.rules.test.yml")),
        ]
    });
    let success = tried.into_iter().all(|(folder, what, file)| {
        let mut promtool = Command::new(programs.join("promtool"));
        promtool
            .current_dir(workspace.root.join("contrib").join(folder))
            .args([what, "rules", &file]);
        let tried = run(&mut promtool);
        if let Err(error) = &tried {
            println!("{name} failed: {error:#}");
        }
        tried.is_ok()
    });
    report.add_check(name, started.elapsed(), success);
}
