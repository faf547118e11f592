//! `pinif findings`: what a running audit has found, and finds from now on.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use super::{asking::Asked, choice::Choice, explain, form::Form};
use crate::{
    control::{Client, FindingsFilter},
    findings::line::FindingLine,
    text::{escape::visible, streams},
};

mod follow;
mod print;

use follow::follow;
use print::Printer;

/// How many findings people are shown, unless they say.
const SHOWN: u64 = 1000;

/// The arguments of `pinif findings`.
#[derive(Args, Clone, Debug)]
pub struct FindingsArgs {
    /// The id of one finding, to be shown with all its facts
    #[arg(value_name = "ID", conflicts_with_all = ["kind", "severity", "state", "since", "netns", "process", "limit", "follow"])]
    id: Option<String>,

    #[command(flatten)]
    choice: Choice,

    /// At most so many [default: 1000 for people, all for programs]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// Go on, and show what is found and what grows; also of the next auditor, where this one ends
    #[arg(long, short)]
    follow: bool,

    #[command(flatten)]
    asked: Asked,

    /// How findings are shown
    #[arg(long, value_enum, default_value_t = Form::Human)]
    format: Form,
}

/// Runs `pinif findings`.
///
/// # Errors
///
/// Why there is no answer, in a sentence with the fix.
pub fn run(args: FindingsArgs) -> Result<ExitCode> {
    let mut printer = Printer::new(args.format);
    let filter = args.choice.filter();
    args.asked.run(async |client| {
        let outcome = match (&args.id, args.follow) {
            (Some(id), _) => one(client, id, &mut printer).await,
            (None, true) => follow(client, &filter, args.limit, &mut printer).await,
            (None, false) => all(client, &args.choice, args.limit, &mut printer).await,
        };
        match outcome {
            // Whoever read it may have read enough.
            Err(error) if error.downcast_ref().is_some_and(streams::is_closed) => Ok(()),
            outcome => outcome,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn one(client: &mut Client, id: &str, printer: &mut Printer) -> Result<()> {
    let Some(finding) = client.finding_or_whole(id).await? else {
        bail!(
            "there is no finding {}; `pinif findings` lists those that there are",
            visible(id)
        );
    };
    match printer.form() {
        Form::Human => explain::show_in_short(&finding),
        Form::Json | Form::Csv => printer.lines(&[finding]),
    }
}

/// All that there are, a page after the other.
async fn all(
    client: &mut Client,
    choice: &Choice,
    limit: Option<u64>,
    printer: &mut Printer,
) -> Result<()> {
    let mut filter = choice.filter();
    let limit = limit.unwrap_or(match printer.form() {
        Form::Human => SHOWN,
        Form::Json | Form::Csv => u64::MAX,
    });
    let mut shown = 0;
    loop {
        let rest = limit - shown;
        // What a page has at most is the server's to say.
        filter.limit = Some(u32::try_from(rest).unwrap_or(u32::MAX));
        let page = client.findings(&filter).await?;
        shown += page.findings.len() as u64;
        printer.lines(&page.findings)?;
        filter.from = page.next;
        if filter.from.is_none() || shown >= limit {
            let more = page.total.saturating_sub(shown);
            let why = match shown {
                0 => choice.unmatched(&first(client).await?),
                _ => None,
            };
            return printer.end(more, why.as_deref());
        }
    }
}

/// The first findings, whatever they are.
async fn first(client: &mut Client) -> Result<Vec<FindingLine>> {
    let mut filter = FindingsFilter::default();
    let mut all = Vec::new();
    loop {
        filter.limit = Some(u32::try_from(SHOWN).unwrap_or(u32::MAX));
        let page = client.findings(&filter).await?;
        all.extend(page.findings);
        filter.from = page.next;
        if filter.from.is_none() || all.len() as u64 >= SHOWN {
            return Ok(all);
        }
    }
}
