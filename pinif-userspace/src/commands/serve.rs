//! `pinif serve`: what a running auditor says, for readers of this machine, and its history.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Result, ensure};
use clap::Args;

use super::asking::Asked;
use crate::{
    history::Retention,
    serve::{self, Address, Plan, address},
    text::{size::size, span::span},
};

/// The arguments of `pinif serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    asked: Asked,

    /// Answer readers here: at an address and port of this machine alone, or at a socket (unix:PATH)
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:9759")]
    listen: Address,

    /// Keep what was found in this file, over restarts; `pinif history` and /v1/history show it
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Remove from it what nothing new was heard of for so long
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "90d", requires = "history")]
    history_age: Duration,

    /// Remove the oldest from it where it would become larger
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64M", requires = "history")]
    history_size: u64,
}

/// Runs `pinif serve`.
///
/// # Errors
///
/// Why it cannot begin.
pub fn run(args: ServeArgs) -> Result<ExitCode> {
    ensure!(
        args.history_size >= Retention::SMALLEST,
        "a history needs {} MiB at least (--history-size)",
        Retention::SMALLEST >> 20
    );
    let retention = Retention {
        age: args.history_age,
        size: args.history_size,
    };
    let asked = args.asked;
    serve::run(Plan {
        find: Box::new(move || asked.find()),
        listen: args.listen,
        history: args.history.map(|path| (path, retention)),
    })?;
    Ok(ExitCode::SUCCESS)
}
