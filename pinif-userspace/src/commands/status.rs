//! `pinif status`: how a running audit stands.

use std::{io, process::ExitCode};

use anyhow::Result;
use clap::Args;

use super::asking::Asked;
use crate::{
    collector::fail_on::{FailOn, exit_status},
    control::protocol::Status,
    findings::alert_state::AlertState,
    surfaces::{
        Format,
        look::{Look, columns},
        standing,
    },
    text::{json, streams},
};

/// The arguments of `pinif status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    asked: Asked,

    /// How it is shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// The severity from which on a finding makes the exit status 2
    #[arg(long, value_enum, default_value_t = FailOn::Leak)]
    fail_on: FailOn,
}

/// Runs `pinif status`. The exit status: 0 all is seen and nothing at or over `--fail-on` was found, 2 a finding, 3 not all can be
/// seen or counted, 1 nothing runs.
///
/// # Errors
///
/// Why there is no answer, in a sentence with the fix.
pub fn run(args: StatusArgs) -> Result<ExitCode> {
    let status = args.asked.ask(async |client| client.status().await)?;
    let text = match args.format {
        Format::Human => {
            let out = io::stdout();
            standing::render(&status, Look::of(&out), columns(&out))
        }
        Format::Json => json::line(&status)?,
    };
    streams::answer(&text)?;
    Ok(ExitCode::from(verdict(&status, args.fail_on)))
}

fn verdict(status: &Status, fail_on: FailOn) -> u8 {
    let counts = status.findings.iter();
    let alerting = counts.filter(|count| is_alerting(count.state));
    let worst = alerting.map(|count| count.severity).max();
    exit_status(fail_on, worst, !status.incomplete.is_empty())
}

/// Whether a finding in this state counts, as for the exit status of an audit.
const fn is_alerting(state: AlertState) -> bool {
    match state {
        AlertState::Open | AlertState::Quiet => true,
        AlertState::Accepted => false,
    }
}
