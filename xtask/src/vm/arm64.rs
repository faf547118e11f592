//! arm64: a smoke test of what is cross-built, on Debian's kernels, in machines that QEMU emulates.
//!
//! The tests are those of the other machines, a leak of each main kind among them. A machine has no file of this one, whose
//! programs it cannot run: all that it has is in the file that its kernel unpacks into memory.

mod image;
mod printed;
mod suite;
mod supply;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    absent,
    kernels::{Kernel, Line},
    machine::run_machine,
    pool,
    results::{self, Ended},
};
use crate::{process::say, report::Report, scenarios, tally::Totals, workspace::Workspace};

use suite::Suite;
use supply::Parts;
pub use supply::Supply;

/// Those that chassis cards with this architecture run.
const LINES: [Line; 2] = [Line::V5_10, Line::V6_12];
/// A board that exists in QEMU alone, with a processor that is fast to emulate.
const MACHINE: [&str; 4] = ["-machine", "virt,accel=tcg", "-cpu", "cortex-a72"];
/// A machine that runs longer hangs.
const TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What a kernel is called in reports.
fn name(line: Line) -> String {
    format!("Linux {} on arm64", line.name())
}

/// Runs the tests on each kernel, and adds to the report what became of them.
pub fn run(workspace: &Workspace, supply: &Supply, report: &mut Report) {
    let mut kernels = Vec::new();
    for (line, kernel) in &supply.kernels {
        match kernel {
            Ok(kernel) => kernels.push(kernel),
            Err(reason) => absent(&name(*line), reason, report),
        }
    }
    let (Ok(parts), false) = (&supply.parts, kernels.is_empty()) else {
        return;
    };
    let started = Instant::now();
    let suite = match Suite::build(workspace, &parts.cross) {
        Ok(suite) => suite,
        Err(error) => {
            // What ran until now is to be counted all the same.
            println!("arm64 failed: the tests do not build for it: {error:#}");
            let failures = Totals::of_failures(kernels.len());
            report.add_tests("build for arm64", started.elapsed(), failures, false);
            return;
        }
    };
    report.add_work("build for arm64", started.elapsed());
    let started = Instant::now();
    let processors = pool::processors();
    let ended = pool::in_parallel(processors, &kernels, |kernel| {
        run_once(workspace, parts, &suite, kernel)
            .unwrap_or_else(|error| Ended::Broken(format!("{error:#}")))
    });
    report.add_work(
        &format!("the arm64 machines, {processors} at a time"),
        started.elapsed(),
    );
    for (kernel, ended) in kernels.into_iter().zip(ended) {
        let name = name(kernel.line);
        match results::Kernel::of(vec![ended]) {
            results::Kernel::DidNotRun(reason) => absent(&name, &reason, report),
            results::Kernel::Ran { done, broken } => {
                println!("{}", done.summary());
                for reason in &broken {
                    println!("{name} failed: {reason}");
                }
                report.add_tests(&name, done.time, done.totals, done.success);
                report.add_times(&format!("{} arm64", kernel.line.name()), done.tests);
            }
        }
    }
}

fn run_once(workspace: &Workspace, parts: &Parts, suite: &Suite, kernel: &Kernel) -> Result<Ended> {
    let directory = workspace
        .target
        .join("vm/run/arm64")
        .join(kernel.line.name());
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let image = image::make(parts, suite, kernel, &directory)?;
    say(format_args!("booting Linux {} on arm64", kernel.release));
    let started = Instant::now();
    let console = boot(&parts.qemu, kernel, &image, &directory)?;
    let text = fs::read(&console).with_context(|| format!("cannot read {}", console.display()))?;
    let accounts = directory.join("scenarios");
    scenarios::clear(&accounts)?;
    Ok(
        match printed::read(&String::from_utf8_lossy(&text), suite.tests().len()) {
            printed::Printed::Nothing => Ended::NotUp(format!(
                "its machine did not come up: {} has what it printed",
                console.display()
            )),
            printed::Printed::Part(last) => Ended::Cut(format!(
                "a machine did not come to the tests' end: {} has what it printed, at last: {last}",
                console.display()
            )),
            printed::Printed::All(all) => {
                for failure in &all.failures {
                    println!("{} failed: {failure}", name(kernel.line));
                }
                for (number, account) in all.accounts.iter().enumerate() {
                    fs::write(accounts.join(format!("{number}.json")), account)?;
                }
                say(format_args!(
                    "Linux {} on arm64 was up in {:.1} s",
                    kernel.release, all.up
                ));
                Ended::Done(results::Done {
                    scenarios: scenarios::read(&accounts)?,
                    time: started.elapsed(),
                    ..all.done
                })
            }
        },
    )
}

/// Runs a machine to its end. The file of all that it prints.
fn boot(qemu: &Path, kernel: &Kernel, image: &Path, directory: &Path) -> Result<PathBuf> {
    let console = directory.join("console");
    let mut serial = OsString::from("file:");
    serial.push(&console);
    let mut timeout = Command::new("timeout");
    timeout
        .args(["--foreground", "--kill-after=30s"])
        .arg(format!("{}s", TIME_LIMIT.as_secs()))
        .arg(qemu)
        .args(MACHINE)
        .args(["-smp", "1", "-m", "1536M"])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .arg("-serial")
        .arg(serial)
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(image)
        .args([
            "-append",
            "console=ttyAMA0 quiet panic=-1 rdinit=/init mitigations=off rcupdate.rcu_expedited=1",
        ])
        .stdin(Stdio::null());
    run_machine(&mut timeout, &console)?;
    Ok(console)
}
