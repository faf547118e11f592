//! The command line.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    commands::{
        accept, audit,
        complaint::{complain, sentence},
        demo, detach, doctor, explain, findings, foresee, history, learn, matrix, metrics, pin,
        policy, run, serve, settings, sockets, start, status, top,
    },
    text::escape::{is_hazardous, visible},
};

/// Audits where packets really leave, against the device that each socket is bound to.
#[derive(Debug, Parser)]
#[command(
    name = "pinif",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Take the options that are not given from this file, and from PINIF_COMMAND_OPTION in the environment before it:
    /// pinif-config(5) [default: PINIF_CONFIG in the environment; without it, no file]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Accept a finding for a time: it is counted and shown as ever, and alerts nobody
    Accept(accept::AcceptArgs),
    /// Audit packets as they leave, and alert on those that leave where they must not
    Audit(audit::AuditArgs),
    /// Watch pinif at work: a card in a chassis of network namespaces, and a daemon on it that leaks
    Demo(demo::DemoArgs),
    #[command(hide = true)]
    DemoDaemon,
    /// End an auditor that was started with `audit --persist`: detach its programs, and drop its counts
    Detach(detach::DetachArgs),
    /// Show what this kernel and these privileges allow, and the fix for what is missing
    Doctor(doctor::DoctorArgs),
    /// Explain a kind of finding, or a finding of a running auditor, or one that `pinif audit --format json` printed
    Explain(explain::ExplainArgs),
    /// List what a running auditor has found, and follow what it finds
    Findings(findings::FindingsArgs),
    /// Show which sockets would leave via another interface, if an interface went down or a route changed
    Foresee(foresee::ForeseeArgs),
    /// List what was found over restarts of the auditor and of the machine, where `pinif serve --history` keeps it
    History(history::HistoryArgs),
    /// Draft a policy of what a running auditor has seen: as few rules as explain it, each with its evidence
    Learn(learn::LearnArgs),
    /// Show who has sent how much by which interface, of a running auditor
    Matrix(matrix::MatrixArgs),
    /// Show the metrics of a running auditor in Prometheus' text format, or write them for node_exporter
    Metrics(metrics::MetricsArgs),
    /// Pin a running service's cgroup to an interface, list the pins, undo them
    Pin(pin::PinArgs),
    /// Check a policy file, or try it on what a running auditor has seen
    Policy(policy::PolicyArgs),
    /// Run a command whose sockets are bound to an interface from birth, and send via no other
    Run(run::RunArgs),
    /// Serve what a running auditor says to readers of this machine (Prometheus, JSON over HTTP), and keep its history
    Serve(serve::ServeArgs),
    /// List every socket with its owner, and the interface that it would leave via now, the greatest risk first
    Sockets(sockets::SocketsArgs),
    /// Show how a running auditor stands: what it sees, what it has found, and the worst of it
    Status(status::StatusArgs),
    /// Watch a running auditor on the terminal: the matrix with live rates, the findings with their fixes, what is audited
    Top(top::TopArgs),
}

/// Reads the command line, and what is set besides by the environment and a file.
///
/// # Errors
///
/// The exit status, where there is no command to be run: what is wrong, the help or the version is shown by then. That of wrong
/// arguments or settings is 1, where clap would take 2: that is how an audit reports findings. Of `pinif run` it is 125, as whenever
/// pinif fails there; of a check, 3.
pub fn parse() -> Result<Cli, ExitCode> {
    let given: Vec<OsString> = std::env::args_os().collect();
    let arguments = settings::complete(Cli::command(), given.clone(), &|name| {
        std::env::var_os(name)
    })
    .map_err(|error| {
        complain(&error);
        failure(&given, || sentence(&error))
    })?;
    Cli::try_parse_from(arguments).map_err(|usage| {
        explain(&usage);
        if usage.use_stderr() {
            failure(&given, || settings::fault(&usage))
        } else {
            ExitCode::SUCCESS
        }
    })
}

/// The status of a command that cannot be run; a check says why as checks do.
fn failure(given: &[OsString], why: impl FnOnce() -> String) -> ExitCode {
    let (head, names) = settings::head(&Cli::command(), given);
    match names.first().map(String::as_str) {
        Some("run") => ExitCode::from(run::FAILED),
        Some("status") => {
            let environment = |name: &str| std::env::var_os(name);
            match settings::meant(given, head, &names, "format", &environment) {
                Some(format) if status::is_check(&format) => status::failed_check(&why()),
                _ => ExitCode::FAILURE,
            }
        }
        _ => ExitCode::FAILURE,
    }
}

/// Runs the command and gives its exit status.
///
/// # Errors
///
/// What the command could not do, for a person to read.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Some(command) = cli.command else {
        return start::run();
    };
    match command {
        Command::Accept(args) => accept::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Demo(args) => demo::run(args),
        Command::DemoDaemon => demo::daemon(),
        Command::Detach(args) => detach::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Findings(args) => findings::run(args),
        Command::Foresee(args) => foresee::run(args),
        Command::History(args) => history::run(args),
        Command::Learn(args) => learn::run(args),
        Command::Matrix(args) => matrix::run(args),
        Command::Metrics(args) => metrics::run(args),
        Command::Pin(args) => pin::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Run(args) => Ok(run::run(args)),
        Command::Serve(args) => serve::run(args),
        Command::Sockets(args) => sockets::run(args),
        Command::Status(args) => status::run(args),
        Command::Top(args) => top::run(args),
    }
}

/// Shows what clap has to say instead of a command line that can be run: help, the version, or what is wrong with it.
fn explain(usage: &clap::Error) {
    // Where it cannot be shown, there is no reader.
    let _ = of_visible_arguments().as_ref().unwrap_or(usage).print();
}

/// The error once more, of the arguments with their hazards escaped: clap repeats what it was given. Nothing, where no argument
/// has a hazard.
fn of_visible_arguments() -> Option<clap::Error> {
    let given: Vec<_> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let hazardous = given.iter().any(|argument| argument.contains(is_hazardous));
    let shown = given.iter().map(|argument| visible(argument).into_owned());
    hazardous
        .then(|| Cli::try_parse_from(shown).err())
        .flatten()
}
