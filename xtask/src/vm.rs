//! `cargo xtask vm`: other kernels, each in a virtual machine on this machine's own files.
//!
//! The machine boots Debian's kernel with virtme-ng under QEMU's software emulation, so that it needs neither KVM nor a
//! disk image: what is built here is what runs there. Everything that it needs lies in `target/vm`.

mod kernels;
mod machine;
mod suite;
mod tools;

use std::{ffi::OsString, panic::resume_unwind, process::ExitCode, thread};

use anyhow::Result;

use crate::{
    process::say, scenarios, setup, tally::Totals, test::closing_line, workspace::Workspace,
};

pub use kernels::Line;
use machine::Machine;
use suite::Suite;

/// Which kernels, and what they run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernel: all where it is not given
    #[arg(long = "kernel", value_enum)]
    kernels: Vec<Line>,
    /// Only those of the tests that this filterset of nextest's names
    #[arg(long, conflicts_with = "command")]
    filter: Option<String>,
    /// What runs in the machine, as root, instead of the scenarios
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Runs the task. Where no command is given, its last line on standard output counts the tests.
///
/// # Errors
/// Where a tool is missing, the tests do not build, or the machine does not end well. A kernel that cannot be had is
/// told, and no error.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let lines = if args.kernels.is_empty() {
        &Line::ALL[..]
    } else {
        &args.kernels
    };
    if args.command.is_empty() {
        setup::ensure_test_tools(workspace)?;
        let (totals, success) = run_scenarios(workspace, lines, args.filter.as_deref())?;
        closing_line(totals);
        return Ok(exit(success));
    }
    let tools = tools::ensure(workspace)?;
    let mut success = true;
    for &line in lines {
        match kernels::ensure(workspace, line) {
            Ok(kernel) => {
                let machine = Machine::new(workspace, &tools, &kernel);
                success &= machine.run(&args.command)?;
            }
            Err(error) => say(format_args!("Linux {} is skipped: {error:#}", line.name())),
        }
    }
    Ok(exit(success))
}

/// Brings what boots the machines, and their kernels. What cannot be had is told: the tests run without.
pub fn bring(workspace: &Workspace) {
    if let Err(error) = tools::ensure(workspace) {
        return say(format_args!(
            "no older kernels can be tried here: {error:#}"
        ));
    }
    for line in Line::ALL {
        if let Err(error) = kernels::ensure(workspace, line) {
            say(format_args!(
                "Linux {} cannot be tried here: {error:#}",
                line.name()
            ));
        }
    }
}

/// Runs the scenarios on each kernel, all at once, and tells and counts them. Whether all that ran passed. A machine that
/// does not come to their end counts as one that failed.
///
/// # Errors
/// As [`run`].
pub fn run_scenarios(
    workspace: &Workspace,
    lines: &[Line],
    filter: Option<&str>,
) -> Result<(Totals, bool)> {
    let tools = match tools::ensure(workspace) {
        Ok(tools) => tools,
        Err(error) => {
            for &line in lines {
                skip(workspace, line, &error)?;
            }
            return Ok((Totals::default(), true));
        }
    };
    let suite = Suite::build(workspace, filter)?;
    let mut kernels = Vec::new();
    for &line in lines {
        match kernels::ensure(workspace, line) {
            Ok(kernel) => kernels.push(kernel),
            Err(error) => skip(workspace, line, &error)?,
        }
    }
    let outcomes: Vec<_> = thread::scope(|scope| {
        let start = |kernel| {
            let machine = Machine::new(workspace, &tools, kernel);
            let suite = &suite;
            scope.spawn(move || suite.run(workspace, machine, kernel))
        };
        let running: Vec<_> = kernels.iter().map(start).collect();
        running
            .into_iter()
            .map(|machine| machine.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let mut totals = Totals::default();
    let mut success = true;
    for (kernel, outcome) in kernels.iter().zip(outcomes) {
        match outcome {
            Ok(done) => {
                println!("{}", done.summary);
                totals = totals.plus(done.totals);
                success &= done.success;
            }
            Err(error) => {
                println!("Linux {} failed: {error:#}", kernel.release);
                totals = totals.plus(Totals::of_failure());
                success = false;
            }
        }
    }
    Ok((totals, success))
}

/// Tells that a kernel could not be had, here and in the table.
fn skip(workspace: &Workspace, line: Line, error: &anyhow::Error) -> Result<()> {
    println!("Linux {} is skipped: {error:#}", line.name());
    scenarios::miss(
        &scenarios::directory(workspace, line.name()),
        &format!("{error:#}"),
    )
}

fn exit(success: bool) -> ExitCode {
    if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
