//! `pinif history`: what was found over restarts of the auditor and of the machine.

mod print;

use std::{path::PathBuf, process::ExitCode, time::SystemTime};

use anyhow::{Result, anyhow};
use clap::Args;

use super::{choice::Choice, form::Form, unmatched};
use crate::{
    findings::{line::FindingLine, query::Query},
    history::History,
    text::streams,
};

/// How many findings people are shown, unless they say.
const SHOWN: u64 = 1000;

/// The arguments of `pinif history`.
#[derive(Args, Clone, Debug)]
pub struct HistoryArgs {
    /// The file that `pinif serve` keeps it in
    #[arg(long, value_name = "FILE", default_value = "/var/lib/pinif/history.db")]
    history: PathBuf,

    #[command(flatten)]
    choice: Choice,

    /// At most so many findings, the newest [default: 1000 for people, all for programs]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// How it is shown
    #[arg(long, value_enum, default_value_t = Form::Human)]
    format: Form,
}

/// Runs `pinif history`.
///
/// # Errors
///
/// Why there is none, in a sentence with the fix.
pub fn run(args: HistoryArgs) -> Result<ExitCode> {
    let query = args.choice.filter().query(SystemTime::now());
    let limit = args.limit.unwrap_or(match args.format {
        Form::Human => SHOWN,
        Form::Json | Form::Csv => u64::MAX,
    });
    let query = Query {
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        ..query.map_err(|error| anyhow!("{error}"))?
    };
    let mut history = History::open(&args.history)?;
    let page = history.newest(query)?;
    let why = match page.total {
        0 => args.choice.unmatched(&newest(&mut history)?),
        _ => None,
    };
    let why = why.as_deref();
    let text = match args.format {
        Form::Human => print::human(&page, why),
        Form::Json => print::json(&page)?,
        Form::Csv => print::csv(&page),
    };
    if args.format != Form::Human {
        unmatched::note(why);
    }
    streams::answer(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The newest findings, whatever they are.
fn newest(history: &mut History) -> Result<Vec<FindingLine>> {
    let query = Query {
        limit: usize::try_from(SHOWN).unwrap_or(usize::MAX),
        ..Query::default()
    };
    let page = history.newest(query)?;
    Ok(page.findings.into_iter().map(|past| past.finding).collect())
}
