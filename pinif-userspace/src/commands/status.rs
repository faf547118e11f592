//! `pinif status`: how a running audit stands.

use std::{io, process::ExitCode};

use anyhow::Result;
use clap::{Args, ValueEnum};
use pinif_ebpf::verdict::Severity;

use super::{
    asking::Asked,
    complaint::{complain, sentence},
};
use crate::{
    collector::fail_on::{FailOn, INCOMPLETE, exit_status},
    control::{ClientError, protocol::Status},
    surfaces::{
        check,
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
    #[arg(long, value_enum, default_value_t = Form::Human)]
    format: Form,

    /// The severity from which on a finding makes the exit status 2
    #[arg(long, value_enum, default_value_t = FailOn::Leak)]
    fail_on: FailOn,
}

/// The name of [`Form::Nagios`].
const CHECK: &str = "nagios";

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One screen.
    Human,
    /// One line for programs.
    Json,
    /// One line for Nagios and those like it, with their exit status: 0 OK, 1 a finding below --fail-on, 2 one at or over it or nobody
    /// looks, 3 not all can be seen or counted.
    Nagios,
}

/// Runs `pinif status`. The exit status: 0 all is seen and nothing at or over `--fail-on` was found, 2 a finding, 3 not all can be
/// seen or counted or the auditor does not answer, 1 nothing runs.
///
/// # Errors
///
/// Why there is no answer, in a sentence with the fix.
pub fn run(args: StatusArgs) -> Result<ExitCode> {
    let asked = args.asked.ask(async |client| client.status().await);
    if args.format == Form::Nagios {
        return Ok(check(asked, args.fail_on));
    }
    let status = match asked {
        Err(error) if error.downcast_ref().is_some_and(ClientError::is_blind) => {
            complain(&error);
            return Ok(ExitCode::from(INCOMPLETE));
        }
        asked => asked?,
    };
    let text = match args.format {
        Form::Human => {
            let out = io::stdout();
            standing::render(&status, Look::of(&out), columns(&out))
        }
        Form::Json | Form::Nagios => json::line(&status)?,
    };
    streams::answer(&text)?;
    let incomplete = !status.incomplete.is_empty();
    Ok(ExitCode::from(exit_status(
        args.fail_on,
        worst(&status),
        incomplete,
    )))
}

/// The same as a check.
fn check(asked: Result<Status>, fail_on: FailOn) -> ExitCode {
    said(match asked {
        Ok(status) => {
            let worst = worst(&status);
            let fails = exit_status(fail_on, worst, false) != 0;
            check::answered(&status, worst, fails)
        }
        Err(error) => match error.downcast_ref() {
            Some(error) => check::unanswered(error),
            None => check::failed(&sentence(&error)),
        },
    })
}

/// Whether this `--format` asks for a check.
pub fn is_check(format: &str) -> bool {
    format == CHECK
}

/// A check that fails by itself, of which this is said.
pub fn failed_check(text: &str) -> ExitCode {
    said(check::failed(text))
}

/// Says what came of a check. Where that cannot be written, nothing is certain.
fn said((level, line): (check::Level, String)) -> ExitCode {
    let said = streams::answer(&format!("{line}\n"));
    ExitCode::from(match said {
        Ok(()) => level,
        Err(error) => {
            complain(&error);
            check::Level::Unknown
        }
    } as u8)
}

/// The gravest finding that counts.
fn worst(status: &Status) -> Option<Severity> {
    let counts = status.findings.iter();
    let alerting = counts.filter(|count| count.state.alerts());
    alerting.map(|count| count.severity).max()
}
