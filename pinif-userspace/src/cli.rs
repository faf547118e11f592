//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{audit, demo, doctor, policy};

/// Audits where packets really leave, against the device that each socket is bound to.
#[derive(Debug, Parser)]
#[command(
    name = "pinif",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Audit packets as they leave, and alert on those that leave where they must not
    Audit(audit::AuditArgs),
    /// Watch pinif at work: a card in a chassis of network namespaces, and a daemon on it that leaks
    Demo(demo::DemoArgs),
    #[command(hide = true)]
    DemoDaemon,
    /// Tell what this kernel and these privileges allow, and mend for what is missing
    Doctor(doctor::DoctorArgs),
    /// Check a policy file
    Policy(policy::PolicyArgs),
}

/// Runs the command and gives its exit status.
///
/// # Errors
///
/// What the command could not do, for a person to read.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Audit(args) => audit::run(args),
        Command::Demo(args) => demo::run(args),
        Command::DemoDaemon => demo::daemon(),
        Command::Doctor(args) => doctor::run(args),
        Command::Policy(args) => policy::run(args),
    }
}
