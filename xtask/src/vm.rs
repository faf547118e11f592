//! `cargo xtask vm`: other kernels, each in virtual machines on this machine's own files.
//!
//! A machine boots Debian's kernel with virtme-ng under QEMU, and needs no disk image: what is built here is what runs
//! there. Everything that it needs lies in `target/vm`.

pub mod arm64;
mod elf;
mod image;
mod kernels;
mod kvm;
mod machine;
mod pool;
mod results;
mod service;
mod suite;
mod supply;
mod tools;
mod unpacked;
mod virtme;

use std::{
    ffi::OsString,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::{process::say, report::Report, scenarios, setup, tally::Totals, workspace::Workspace};

use kernels::Kernel;
pub use kernels::Line;
use machine::{Accelerator, End, Machine};
pub use results::Absence;
use results::Ended;
use service::{Checked, Service};
pub use suite::Chosen;
use suite::Suite;
pub use supply::Supply;
use tools::Tools;
pub use virtme::python;

/// Which kernels, and what they run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernel: all where it is not given
    #[arg(long = "kernel", value_enum)]
    kernels: Vec<Line>,
    /// Only those of the tests that this filterset of nextest's names
    #[arg(long, conflicts_with = "command")]
    filter: Option<String>,
    /// Also those that ask nothing of the kernel, and those that take long where the processor is emulated
    #[arg(long, conflicts_with = "command")]
    every: bool,
    /// Only the packages and their unit, under systemd on Linux 6.12
    #[arg(long, conflicts_with_all = ["kernels", "filter", "every", "command"])]
    service: bool,
    /// Only the smoke test on arm64, on Linux 5.10 and 6.12
    #[arg(long, conflicts_with_all = ["kernels", "filter", "every", "service", "command"])]
    arm64: bool,
    /// What runs in the machine, as root, instead of the scenarios
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// What one machine does.
enum Job<'a> {
    Tests(Machine<'a>, pool::Share),
    Service(Service<'a>),
}

/// What became of it.
enum Done {
    Tests(Ended),
    Service(Result<Checked>),
}

/// Runs the task. Where no command is given, its last line on standard output counts the tests.
///
/// # Errors
/// Where a tool is missing, the tests do not build, or a command does not come to its end.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    if args.arm64 {
        let mut report = Report::default();
        let supply = arm64::Supply::bring(workspace);
        report.add_work("tools and kernels", started.elapsed());
        arm64::run(workspace, &supply, &mut report);
        return Ok(status(report.close(started.elapsed())));
    }
    let lines = match args.kernels.as_slice() {
        _ if args.service => &[service::LINE],
        [] => &Line::ALL[..],
        chosen => chosen,
    };
    let success = if args.command.is_empty() {
        setup::ensure_test_tools(workspace)?;
        let mut report = Report::default();
        let supply = Supply::bring(workspace, lines);
        report.add_work("tools and kernels", started.elapsed());
        if args.service {
            run_service(workspace, &supply, &mut report)?;
        } else {
            let chosen = match (args.every, args.filter.clone()) {
                (false, None) => Chosen::All,
                (false, Some(filter)) => Chosen::Filter(filter),
                (true, filter) => Chosen::Every(filter.unwrap_or_else(|| "all()".to_owned())),
            };
            run_scenarios(workspace, &supply, chosen, &mut report)?;
        }
        report.close(started.elapsed())
    } else {
        run_command(workspace, &Supply::bring(workspace, lines), &args.command)?
    };
    Ok(status(success))
}

fn status(success: bool) -> ExitCode {
    if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a command on each kernel, one after the other. Whether it ended well on all.
fn run_command(workspace: &Workspace, supply: &Supply, command: &[OsString]) -> Result<bool> {
    let mut success = true;
    let mut accelerator = None;
    for (line, kernel) in &supply.kernels {
        let (Ok(tools), Ok(kernel)) = (&supply.tools, kernel) else {
            let reason = kernel.as_ref().err().map_or("", String::as_str);
            say(format_args!("Linux {} did not run: {reason}", line.name()));
            success = false;
            continue;
        };
        let accelerator = *accelerator.get_or_insert_with(|| kvm::choose(workspace, tools, kernel));
        let machine = Machine::new(workspace, tools, kernel, accelerator, "");
        match machine.run(command)? {
            End::Command { success: well } => success &= well,
            End::Cut | End::NotUp => {
                return Err(anyhow!(
                    "Linux {} did not come to the command's end: {} has what it printed",
                    kernel.release,
                    machine.console().display()
                ));
            }
        }
    }
    Ok(success)
}

/// Runs the packages and their unit alone.
///
/// # Errors
/// Where pinif does not build.
fn run_service(workspace: &Workspace, supply: &Supply, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    service::build(workspace)?;
    report.add_work("build for the machine", started.elapsed());
    if let (Ok(tools), Some((_, Ok(kernel)))) = (&supply.tools, supply.kernels.first()) {
        let accelerator = kvm::choose(workspace, tools, kernel);
        if let Some(service) = service(workspace, supply, accelerator, report) {
            add_service(service.run(), report);
        }
    } else {
        absent(service::NAME, &supply.missing().join("; "), report);
    }
    Ok(())
}

/// The machine for the packages and their unit, if it was asked for. Where it lacks something, that is reported.
fn service<'a>(
    workspace: &'a Workspace,
    supply: &'a Supply,
    accelerator: Accelerator,
    report: &mut Report,
) -> Option<Service<'a>> {
    let roots = supply.systemd.as_ref()?;
    let mut kernels = supply.kernels.iter();
    let kernel = kernels.find(|(line, _)| *line == service::LINE);
    match (&supply.tools, roots, kernel?) {
        (Ok(tools), Ok(roots), (_, Ok(kernel))) => Some(Service {
            workspace,
            tools,
            kernel,
            roots,
            accelerator,
        }),
        (Err(reason), ..) | (_, Err(reason), _) | (.., (_, Err(reason))) => {
            absent(service::NAME, reason, report);
            None
        }
    }
}

/// Runs the scenarios on each kernel and, where all are to run, the shipped unit, in as many machines at a time as there are processors, and adds to the
/// report what became of them. What did not run counts as [`Absence`] says.
///
/// # Errors
/// Where the tests do not build, or a file cannot be read or written.
pub fn run_scenarios(
    workspace: &Workspace,
    supply: &Supply,
    chosen: Chosen,
    report: &mut Report,
) -> Result<()> {
    let mut kernels = Vec::new();
    for (line, kernel) in &supply.kernels {
        match kernel {
            Ok(kernel) => kernels.push(kernel),
            Err(reason) => did_not_run(workspace, *line, reason, report)?,
        }
    }
    let (Ok(tools), Some(first)) = (&supply.tools, kernels.first()) else {
        return Ok(());
    };
    let started = Instant::now();
    let is_whole = matches!(chosen, Chosen::Selections | Chosen::All);
    let suite = Suite::build(workspace, chosen)?;
    report.add_work("build for the machines", started.elapsed());
    let accelerator = kvm::choose(workspace, tools, first);
    let started = Instant::now();
    let processors = pool::processors();
    let mut jobs = Vec::new();
    if is_whole {
        jobs.extend(service(workspace, supply, accelerator, report).map(Job::Service));
    }
    jobs.extend(machines(
        workspace,
        tools,
        &kernels,
        accelerator,
        processors,
    ));
    let done = pool::in_parallel(processors, &jobs, |job| match job {
        Job::Tests(machine, share) => Done::Tests(
            suite
                .run(machine, *share)
                .unwrap_or_else(|error| Ended::Broken(format!("{error:#}"))),
        ),
        Job::Service(service) => Done::Service(service.run()),
    });
    report.add_work(
        &format!("the machines, {processors} at a time"),
        started.elapsed(),
    );
    let mut ended = Vec::new();
    for done in done {
        match done {
            Done::Tests(end) => ended.push(end),
            Done::Service(checked) => add_service(checked, report),
        }
    }
    let machines: Vec<_> = jobs
        .iter()
        .filter_map(|job| match job {
            Job::Tests(machine, _) => Some(machine),
            Job::Service(_) => None,
        })
        .collect();
    let shares = machines.len() / kernels.len();
    let mut ended = ended.into_iter();
    for (kernel, machines) in kernels.iter().zip(machines.chunks(shares)) {
        let name = kernel.line.name();
        match results::Kernel::of(ended.by_ref().take(shares).collect()) {
            results::Kernel::DidNotRun(reason) => {
                did_not_run(workspace, kernel.line, &reason, report)?;
            }
            results::Kernel::Ran { done, broken } => {
                let kept = scenarios::directory(workspace, name);
                suite.keep_scenarios(&kept, machines.iter().copied())?;
                println!("{}", done.summary());
                for reason in &broken {
                    println!("Linux {} failed: {reason}", kernel.release);
                }
                report.add_tests(
                    &format!("Linux {}, {shares} machines added", kernel.release),
                    done.time,
                    done.totals,
                    done.success,
                );
                report.add_times(name, done.tests);
            }
        }
    }
    Ok(())
}

/// Prints what was measured of the unit and what failed, and adds it to the report.
fn add_service(checked: Result<Checked>, report: &mut Report) {
    let checked = checked.unwrap_or_else(|error| Checked {
        totals: Totals::of_failures(1),
        failures: vec![format!("{error:#}")],
        ..Checked::default()
    });
    let name = service::NAME;
    for figure in &checked.figures {
        println!("{name}: {figure}");
    }
    for failure in &checked.failures {
        println!("{name} failed: {failure}");
    }
    let has_passed = checked.totals.failed == 0;
    report.add_tests(name, checked.time, checked.totals, has_passed);
}

/// Each machine with its share of the tests.
fn machines<'a>(
    workspace: &'a Workspace,
    tools: &'a Tools,
    kernels: &[&'a Kernel],
    accelerator: Accelerator,
    processors: usize,
) -> Vec<Job<'a>> {
    pool::shares(kernels.len(), processors)
        .into_iter()
        .map(|share| {
            let part = share.number.to_string();
            let kernel = kernels[share.kernel];
            let machine = Machine::new(workspace, tools, kernel, accelerator, &part);
            Job::Tests(machine, share)
        })
        .collect()
}

/// Reports that a kernel did not run, here and in the table.
fn did_not_run(workspace: &Workspace, line: Line, reason: &str, report: &mut Report) -> Result<()> {
    absent(&format!("Linux {}", line.name()), reason, report);
    scenarios::miss(&scenarios::directory(workspace, line.name()), reason)
}

/// Reports that something did not run.
fn absent(name: &str, reason: &str, report: &mut Report) {
    let absence = Absence::here();
    println!("{}", absence.sentence(name, reason));
    let totals = absence.totals();
    report.add_tests(
        &format!("{name}, did not run"),
        Duration::ZERO,
        totals,
        totals.failed == 0,
    );
}
