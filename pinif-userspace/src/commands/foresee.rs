//! `pinif foresee`: which sockets would be judged worse than now, if something happened to the network.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::{asking::Asked, audit::policy_of};
use crate::{
    collector::fail_on::{FailOn, exit_status},
    findings::line::FindingLine,
    foresee::{self, Event, Foreseen, Original, RouteSpec, seen, uncopied},
    host::{self, namespaces::Enter, netns::NetNs},
    surfaces::{
        Format,
        look::{self, Look},
    },
    survey,
    text::{json, streams},
};

mod people;
mod seen_by;
mod unknown;

use seen_by::{SeenByAuditors, seen_by_auditors};
use unknown::Unknown;

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

    /// The policy file [default: /etc/pinif/policy.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// The network namespace: a name, a path or a process id [default: this one]
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,

    #[command(flatten)]
    asked: Asked,

    /// How findings are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// The severity from which on a finding makes the exit status 2
    #[arg(long, value_enum, default_value_t = FailOn::Risk)]
    fail_on: FailOn,
}

/// Runs `pinif foresee`. The exit status is that of an audit: 0 nothing at or over `--fail-on`, 2 a finding, 3 something could not
/// be copied, there are sockets that the kernel does not list, or an auditor that runs gave no answer.
///
/// # Errors
///
/// What it lacks, in a sentence with the fix.
pub fn run(args: ForeseeArgs) -> Result<ExitCode> {
    let policy = policy_of(args.policy.clone())?;
    let netns = match &args.netns {
        Some(name) => NetNs::named(name)?,
        None => NetNs::current()?,
    };
    let original = Original::read(&netns)?;
    let mut sockets = survey::owned(&netns)?;
    let seen = seen_by_auditors(&args.asked, &original)?;
    let SeenByAuditors {
        sockets: seen,
        asked,
        unasked,
    } = seen;
    sockets.extend(seen::gone(seen, &sockets));
    let all = foresee::foresee(&original, &policy, &sockets, &events(&args, &original)?)?;
    let unlisted_raw =
        host::sockets::unlisted_raw(&netns).context("raw sockets cannot be looked for")?;
    let unknown = Unknown {
        uncopied: uncopied(&all),
        unlisted_raw,
        asked,
        unasked,
    };
    let is_incomplete = unknown.is_any();
    let shown = match args.format {
        Format::Human => human(&all, &unknown, &Enter::of(&netns)),
        Format::Json => lines(&all, unknown),
    };
    streams::unless_closed(shown).context(streams::UNWRITTEN)?;
    let findings = all.iter().flat_map(|foreseen| &foreseen.findings);
    let worst = findings.map(|latent| latent.finding.severity).max();
    Ok(ExitCode::from(exit_status(
        args.fail_on,
        worst,
        is_incomplete,
    )))
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

/// One line that `pinif foresee --format json` prints: each `finding`, and `summary` last. More fields may come; readers ignore
/// those they do not know.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(title = "A line of pinif foresee --format json")]
pub enum Line<'a> {
    /// What a socket would be judged, worse than now, if something happened.
    Finding(Box<FindingLine>),
    /// All that was foreseen.
    Summary(Sum<'a>),
}

/// What was foreseen, in all.
#[derive(Serialize, JsonSchema)]
pub struct Sum<'a> {
    /// How many findings there are.
    findings: usize,
    /// What was made to happen, each by itself.
    foreseen: Vec<String>,
    #[serde(flatten)]
    unknown: Unknown<'a>,
}

fn lines(all: &[Foreseen], unknown: Unknown<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for foreseen in all {
        for latent in &foreseen.findings {
            let line: Line<'_> = Line::Finding(Box::new(latent.into()));
            out.write_all(json::line(&line)?.as_bytes())?;
        }
    }
    let sum = Sum {
        findings: all.iter().map(|foreseen| foreseen.findings.len()).sum(),
        foreseen: all
            .iter()
            .map(|foreseen| foreseen.event.to_string())
            .collect(),
        unknown,
    };
    out.write_all(json::line(&Line::Summary(sum))?.as_bytes())
}

fn human(all: &[Foreseen], unknown: &Unknown<'_>, enter: &Enter) -> io::Result<()> {
    let out = io::stdout();
    let text = people::render(all, unknown, enter, Look::of(&out), look::columns(&out));
    out.lock().write_all(text.as_bytes())
}
