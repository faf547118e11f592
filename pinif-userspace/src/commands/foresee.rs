//! `pinif foresee`: which sockets would leave by another interface, if something happened to the network.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::{
    audit::{
        finding::Finding,
        ledger::{FailOn, exit_status},
    },
    foresee::{self, Event, Foreseen, Original, RouteSpec},
    host::netns::NetNs,
    sinks::{
        Format,
        look::{self, Look},
        text::{counted, visible},
    },
    survey,
};

/// The arguments of `pinif foresee`.
#[derive(Args, Clone, Debug)]
pub struct ForeseeArgs {
    /// What if this interface went down; may be repeated [default: each that is up, in turn]
    #[arg(long, value_name = "NAME")]
    down: Vec<String>,

    /// What if this route were added, such as "10.0.0.0/8 via 192.0.2.2 dev eth1"; may be repeated
    #[arg(long, value_name = "ROUTE")]
    route_add: Vec<RouteSpec>,

    /// What if this route were removed; may be repeated
    #[arg(long, value_name = "ROUTE")]
    route_del: Vec<RouteSpec>,

    /// The network namespace: a name, a path or a process id [default: this one]
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,

    /// How findings are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// The severity from which on a finding makes the exit status 2
    #[arg(long, value_enum, default_value_t = FailOn::Risk)]
    fail_on: FailOn,
}

/// Runs `pinif foresee`. The exit status is that of an audit: 0 nothing at or over `--fail-on`, 2 a finding, 3 something could not be copied.
///
/// # Errors
///
/// What it lacks, in a sentence with the mend.
pub fn run(args: ForeseeArgs) -> Result<ExitCode> {
    let netns = match &args.netns {
        Some(name) => NetNs::named(name)?,
        None => NetNs::current()?,
    };
    let original = Original::read(&netns)?;
    let sockets = survey::owned(&netns)?;
    let mut all = Vec::new();
    for event in events(&args, &original)? {
        all.push(foresee::foresee(&original, &sockets, &event)?);
    }
    let shown = match args.format {
        Format::Human => human(&all),
        Format::Json => json(&all),
    };
    match shown {
        // Whoever read it has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result.context("standard output cannot be written")?,
    }
    let findings = all.iter().flat_map(|foreseen| &foreseen.findings);
    let worst = findings.map(|finding| finding.severity).max();
    let incomplete = !uncopied(&all).is_empty();
    Ok(ExitCode::from(exit_status(args.fail_on, worst, incomplete)))
}

fn events(args: &ForeseeArgs, original: &Original) -> Result<Vec<Event>> {
    let mut all = Vec::new();
    for name in &args.down {
        all.push(foresee::down(&original.network, &original.netns, name)?);
    }
    all.extend(args.route_add.iter().cloned().map(Event::RouteAdded));
    all.extend(args.route_del.iter().cloned().map(Event::RouteRemoved));
    if all.is_empty() {
        all = foresee::every_interface(&original.network);
    }
    Ok(all)
}

/// A finding of what has not happened.
#[derive(Serialize)]
struct Latent<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    finding: &'a Finding,
    latent: bool,
    r#if: String,
}

/// The last line.
#[derive(Serialize)]
struct Sum<'a> {
    r#type: &'static str,
    findings: usize,
    foreseen: Vec<String>,
    uncopied: Vec<&'a str>,
}

fn json(all: &[Foreseen]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for foreseen in all {
        for finding in &foreseen.findings {
            let line = Latent {
                r#type: "finding",
                finding,
                latent: true,
                r#if: foreseen.event.to_string(),
            };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        }
    }
    let sum = Sum {
        r#type: "summary",
        findings: all.iter().map(|foreseen| foreseen.findings.len()).sum(),
        foreseen: all
            .iter()
            .map(|foreseen| foreseen.event.to_string())
            .collect(),
        uncopied: uncopied(all),
    };
    writeln!(out, "{}", serde_json::to_string(&sum)?)
}

/// What could not be copied, each once.
fn uncopied(all: &[Foreseen]) -> Vec<&str> {
    let mut texts: Vec<_> = all
        .iter()
        .flat_map(|foreseen| &foreseen.uncopied)
        .map(String::as_str)
        .collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn human(all: &[Foreseen]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let look = Look::of(&out);
    for foreseen in all {
        let event = visible(&foreseen.event.to_string()).into_owned();
        let many = counted(foreseen.findings.len() as u64, "socket");
        writeln!(
            out,
            "{}: {many} would leave by another interface",
            look.paint(look::strong(), &event)
        )?;
        for finding in &foreseen.findings {
            let severity = look.paint(look::of_severity(finding.severity), finding.severity.name());
            writeln!(
                out,
                "  {severity}  {}  {}",
                finding.kind.name(),
                visible(&finding.explanation)
            )?;
            writeln!(out, "        route  {}", visible(&finding.cause))?;
            writeln!(out, "        mend   {}", visible(&finding.remedy))?;
        }
    }
    for what in uncopied(all) {
        writeln!(
            out,
            "not copied, so that this may be wrong: {}",
            visible(what)
        )?;
    }
    Ok(())
}
