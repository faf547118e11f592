//! `pinif policy test`: what of all that was seen would be a finding under a policy, before it is in force.

use std::{collections::BTreeSet, fmt::Write as _, io::stdin, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    collector::fail_on::{FailOn, exit_status},
    commands::{occasion::occasion, seen::Seen},
    learned::{Broken, Traffic, Trial, TrialReport, tried},
    policy::Policy,
    surfaces::Format,
    text::{
        escape::{visible, visible_path},
        json, streams,
        words::{counted, first_of},
    },
};

/// The arguments of `pinif policy test`.
#[derive(Args, Clone, Debug)]
pub struct TestArgs {
    /// The policy file; `-` is standard input
    file: PathBuf,

    #[command(flatten)]
    seen: Seen,

    /// How what would be findings is shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// The severity from which on what would be a finding makes the exit status 2
    #[arg(long, value_enum, default_value_t = FailOn::Leak)]
    fail_on: FailOn,
}

/// Runs `pinif policy test`. The exit status is as of `pinif audit`: 0 nothing at or over `--fail-on` would be a finding, 2 something would, 3
/// nothing would of what was judged, which is not all.
///
/// # Errors
///
/// What is wrong with the policy, or why it is not known what was seen.
pub fn run(args: TestArgs) -> Result<ExitCode> {
    let TestArgs {
        file,
        seen,
        format,
        fail_on,
    } = args;
    let policy = if file.as_os_str() == "-" {
        Policy::read_from(stdin(), "<stdin>")?
    } else {
        Policy::read(&file, occasion())?
    };
    let learned = seen.read()?;
    if learned.next.is_some() {
        bail!("this is one page of several: take what `pinif learn --format json` writes");
    }
    let trial = tried(&learned, &policy);
    let shown = visible_path(&file);
    let report = TrialReport::of(&trial, &file.to_string_lossy(), &learned);
    streams::answer(&match format {
        Format::Human => text(&trial, &shown, learned.not_learned),
        Format::Json => json::line(&report)?,
    })?;
    let worst = trial.broken.iter().map(|broken| broken.severity).max();
    Ok(exit_status(fail_on, worst, !report.complete).into())
}

fn text(trial: &Trial, policy: &str, not_learned: u64) -> String {
    let mut text = String::new();
    for broken in &trial.broken {
        text.push_str(&line(broken));
    }
    let judged = trial.judged;
    let _ = match trial.broken.len() {
        0 => writeln!(text, "{policy}: nothing in {judged} would be a finding"),
        number => writeln!(
            text,
            "{policy}: {} in {judged}",
            counted(number as u64, "finding")
        ),
    };
    if trial.not_judged > 0 {
        let _ = writeln!(
            text,
            "not judged: {} of interfaces that are gone",
            counted(trial.not_judged, "entry").replace("entrys", "entries")
        );
    }
    if not_learned > 0 {
        let times = counted(not_learned, "time");
        let _ = writeln!(text, "not seen: the auditor's table was full {times}");
    }
    text
}

fn line(broken: &Broken) -> String {
    let Some(first) = broken.traffic.first() else {
        return String::new();
    };
    let user = first.uid.map(|uid| format!(" (uid {uid})"));
    let netns = match first.netns.as_str() {
        "" => String::new(),
        name => format!(" in {}", visible(name)),
    };
    let bound = match &first.bound_device {
        Some(device) => format!("bound to {}", visible(device)),
        None if first.may_be_pinned() => "bound to no device".to_owned(),
        None => "without a bound device".to_owned(),
    };
    let rule = match &broken.rule {
        Some(rule) => format!(" (rule {})", visible(rule)),
        None => String::new(),
    };
    let to: BTreeSet<String> = broken.traffic.iter().map(destination).collect();
    format!(
        "{} {}{rule}: {}{}{netns}, {bound}, sent via {} to {}: {}\n",
        broken.severity.name(),
        broken.kind.name(),
        visible(first.program()),
        user.unwrap_or_default(),
        visible(&first.egress_interface),
        first_of(&Vec::from_iter(to)),
        broken.amount,
    )
}

/// Where it went, with the service's port.
fn destination(traffic: &Traffic) -> String {
    match (traffic.port, traffic.serves) {
        (Some(port), false) => format!("{} port {port}", traffic.destination),
        (Some(port), true) => format!("{} from port {port}", traffic.destination),
        (None, _) => traffic.destination.to_string(),
    }
}
