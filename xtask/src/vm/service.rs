//! The packages and their unit, where a real systemd runs it: in a machine of its own, since this one may have another first process.
//!
//! The machine boots Debian's kernel into Debian's systemd. A script in it installs, checks, upgrades and removes, and prints a line
//! for each check. lintian looks at the Debian package besides.

mod image;
mod lint;
mod root;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    kernels::{Kernel, Line},
    machine::{Accelerator, EMULATED_CPU, KERNEL_ARGUMENTS, run_machine},
    tools::{QEMU, Tools},
};
use crate::{
    build,
    process::{run_cargo, say},
    tally::Totals,
    test::CHECKED,
    workspace::Workspace,
};

/// The kernel that it is checked on.
pub const LINE: Line = Line::V6_12;
/// What it is called in reports.
pub const NAME: &str = "the unit under systemd";
/// What the script prints before and after its checks.
const BEGINS: &str = "-- the checks begin --";
const ENDED: &str = "-- the checks have ended --";
/// A machine that runs longer hangs.
const TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The machine, to be booted once.
#[derive(Debug)]
pub struct Service<'a> {
    /// Where the built pinif is, and where the machine's files go.
    pub workspace: &'a Workspace,
    /// What boots it.
    pub tools: &'a Tools,
    /// What it boots.
    pub kernel: &'a Kernel,
    /// What is in it, and what looks at packages.
    pub roots: &'a Roots,
    /// What executes its instructions.
    pub accelerator: Accelerator,
}

/// Root file systems, made of Debian's packages.
#[derive(Debug)]
pub struct Roots {
    /// The machine's.
    systemd: PathBuf,
    /// lintian's.
    lintian: PathBuf,
}

impl Roots {
    /// Finds both in `target/vm`, or brings them there.
    ///
    /// # Errors
    /// Where apt cannot download their packages, or they cannot be unpacked.
    pub fn ensure(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            systemd: root::ensure(workspace)?,
            lintian: lint::ensure(workspace)?,
        })
    }
}

/// What became of the checks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many passed and failed.
    pub totals: Totals,
    /// What failed, and why.
    pub failures: Vec<String>,
    /// What was measured, a line each.
    pub figures: Vec<String>,
    /// How long the machine ran.
    pub time: Duration,
}

impl Checked {
    /// With one check more: that lintian has no complaint.
    fn with_lint(mut self, complaints: Option<String>) -> Self {
        match complaints {
            None => self.totals.passed += 1,
            Some(complaints) => {
                self.totals.failed += 1;
                self.failures
                    .push(format!("lintian finds no error: {complaints}"));
            }
        }
        self
    }
}

/// Builds what the machine runs, as the tests do.
///
/// # Errors
/// Where it does not build.
pub fn build(workspace: &Workspace) -> Result<()> {
    build::build_ebpf(workspace)?;
    run_cargo(
        workspace
            .cargo()
            .args(["build", "--package", "pinif-userspace", "--bins"])
            .args(["--examples", "--profile", CHECKED]),
    )
}

impl Service<'_> {
    /// Boots, and reads what the checks print.
    ///
    /// # Errors
    /// Where its files cannot be made, QEMU does not start, or the checks do not come to their end.
    pub fn run(&self) -> Result<Checked> {
        let directory = self.workspace.target.join("vm/run/service");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let Self {
            workspace,
            tools,
            kernel,
            roots,
            ..
        } = self;
        let image = image::make(workspace, tools, kernel, &roots.systemd, &directory)?;
        let complaints = lint::complaints(&roots.lintian, &image::debian_package(&directory)?)?;
        say(format_args!(
            "booting Linux {} into systemd",
            kernel.release
        ));
        let started = Instant::now();
        let console = self.boot(&image, &directory)?;
        let text =
            fs::read(&console).with_context(|| format!("cannot read {}", console.display()))?;
        let Some(checked) = read(&String::from_utf8_lossy(&text)) else {
            bail!(
                "the checks of the unit did not come to their end: {} has what the machine printed",
                console.display()
            );
        };
        Ok(Checked {
            time: started.elapsed(),
            ..checked.with_lint(complaints)
        })
    }

    /// Runs the machine to its end. The file of all that it prints.
    fn boot(&self, image: &Path, directory: &Path) -> Result<PathBuf> {
        let console = directory.join("console");
        let (machine, processor) = match self.accelerator {
            Accelerator::Kvm => ("q35,accel=kvm", "host"),
            Accelerator::Emulation => ("q35,accel=tcg", EMULATED_CPU),
        };
        let mut serial = std::ffi::OsString::from("file:");
        serial.push(&console);
        let mut timeout = Command::new("timeout");
        timeout
            .args(["--foreground", "--kill-after=30s"])
            .arg(format!("{}s", TIME_LIMIT.as_secs()))
            .arg(self.tools.program(QEMU))
            .args(["-machine", machine, "-cpu", processor, "-smp", "1", "-m", "1G"])
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .arg("-serial")
            .arg(serial)
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(image)
            .arg("-append")
            .arg(format!(
                "{KERNEL_ARGUMENTS} console=ttyS0 quiet panic=-1 rdinit=/init systemd.unit=checks.service systemd.show_status=no"
            ))
            .stdin(Stdio::null());
        run_machine(&mut timeout, &console)?;
        Ok(console)
    }
}

/// What the checks printed; nothing where they did not come to their end.
fn read(console: &str) -> Option<Checked> {
    let (_, printed) = console.split_once(BEGINS)?;
    let (printed, _) = printed.split_once(ENDED)?;
    let mut checked = Checked::default();
    let mut is_failure = false;
    for line in printed.lines().map(|line| line.trim_end_matches('\r')) {
        if line.starts_with("passed ") {
            is_failure = false;
            checked.totals.passed += 1;
        } else if let Some(figure) = line.strip_prefix("figure ") {
            is_failure = false;
            checked.figures.push(figure.to_owned());
        } else if let Some(failure) = line.strip_prefix("failed ") {
            is_failure = true;
            checked.totals.failed += 1;
            checked.failures.push(failure.to_owned());
        } else if let Some(last) = checked.failures.last_mut().filter(|_| is_failure) {
            // How the service stood then.
            *last += "\n  ";
            *last += line;
        }
    }
    Some(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_counts_with_what_follows_a_failure() {
        let console = format!(
            "[    0.0] Linux\r\n{BEGINS}\r\npassed it starts\r\nfigure MiB: 30\r\nfailed it ends: no\r\n  Active: failed\r\n\
             passed it is gone\r\nnoise\r\n{ENDED}\r\npassed nothing\r\n"
        );
        let expected = Checked {
            totals: Totals {
                passed: 2,
                failed: 1,
                skipped: 0,
            },
            failures: vec!["it ends: no\n    Active: failed".to_owned()],
            figures: vec!["MiB: 30".to_owned()],
            time: Duration::ZERO,
        };
        assert_eq!(read(&console), Some(expected));
        assert_eq!(read(&console.replace(ENDED, "")), None);
        assert_eq!(read(""), None);
    }
}
