//! The view as lines, for screen readers and where nothing can be drawn: a line for each change, and nothing is ever overwritten.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::data::Fetched;
use super::facts::facts;
use super::fetch::fetch;
use super::views::findings::MOST;
use super::wanted::Wanted;
use super::watch::{Asker, PERIOD};
use crate::control::{Client, ClientError};
use crate::findings::alert_state::AlertState;
use crate::findings::kinds;
use crate::findings::line::FindingLine;
use crate::surfaces::phrase;
use crate::surfaces::table::sender;
use crate::text::escape::visible;
use crate::text::streams;
use crate::text::words::counted;

/// What was said so far.
#[derive(Debug, Default)]
pub struct Linear {
    run: Option<String>,
    facts: String,
    findings: HashMap<String, Said>,
    is_lost: bool,
}

/// What was said of a finding.
#[derive(Clone, Copy, Debug)]
struct Said {
    packets: u64,
    state: AlertState,
}

impl Linear {
    /// What there is to say of an answer: lines that are safe to show, without their ends.
    pub fn on(&mut self, answer: Result<&Fetched, &str>) -> Vec<String> {
        let mut lines = Vec::new();
        match answer {
            Err(why) => {
                if !std::mem::replace(&mut self.is_lost, true) {
                    lines.push(format!("no answer, asking again: {why}"));
                }
            }
            Ok(fetched) => {
                let run = self.run.replace(fetched.status.run.clone());
                let is_new = run.is_some_and(|run| run != fetched.status.run);
                let was_lost = std::mem::take(&mut self.is_lost);
                if is_new {
                    lines.push("the auditor was restarted".to_owned());
                } else if was_lost {
                    lines.push("the auditor answers again".to_owned());
                }
                self.audit(fetched, &mut lines);
            }
        }
        lines
            .iter()
            .map(|line| visible(line).into_owned())
            .collect()
    }

    fn audit(&mut self, fetched: &Fetched, lines: &mut Vec<String>) {
        let facts: Vec<String> = facts(&fetched.status)
            .into_iter()
            .map(|(fact, _)| fact)
            .collect();
        let facts = facts.join(", ");
        if facts != self.facts {
            lines.push(format!("now: {facts}"));
            self.facts = facts;
        }
        for finding in fetched.findings.iter().flat_map(|findings| &findings.first) {
            let said = self.findings.get(&finding.id).copied();
            let line = match said {
                None => Some(whole(finding)),
                Some(said) if said.state != finding.state => Some(match finding.state {
                    AlertState::Open => {
                        format!("{}: open again, {}", named(finding), packets(finding))
                    }
                    AlertState::Quiet | AlertState::Accepted => {
                        let state = finding.state.name();
                        format!("{}: {state}, {}", named(finding), packets(finding))
                    }
                }),
                // As with other surfaces for people, growth is said seldom.
                Some(said) if finding.packets >= said.packets.saturating_mul(10).max(10) => {
                    Some(format!("{}: {} so far", named(finding), packets(finding)))
                }
                Some(_) => None,
            };
            if let Some(line) = line {
                lines.push(line);
                let said = Said {
                    packets: finding.packets,
                    state: finding.state,
                };
                self.findings.insert(finding.id.clone(), said);
            }
        }
    }
}

fn named(finding: &FindingLine) -> String {
    let severity = finding.severity.name();
    format!("{severity} {} {}", finding.kind.name(), finding.id)
}

fn packets(finding: &FindingLine) -> String {
    counted(finding.packets, "packet")
}

fn whole(finding: &FindingLine) -> String {
    let interface = &finding.egress_interface;
    let what = match (kinds::is_counted(finding.kind), &finding.process) {
        (true, _) => {
            let did = phrase::does(finding.kind, finding.dropped);
            format!(
                "{} {did} {interface}, {}",
                sender(finding),
                packets(finding)
            )
        }
        (false, Some(_)) => {
            let traffic = phrase::traffic(finding.kind, interface);
            format!("{}: {traffic}", sender(finding))
        }
        // Its cause follows.
        (false, None) => phrase::traffic(finding.kind, interface),
    };
    let mut line = format!("{}: {what}.", named(finding));
    for (label, text) in [("Cause", &finding.cause), ("Fix", &finding.remedy)] {
        if !text.is_empty() {
            line.push_str(&format!(" {label}: {text}."));
        }
    }
    line
}

/// Prints what changes, until the user has read enough or nobody reads it.
///
/// # Errors
///
/// When the auditor gives no first answer, or standard output cannot be written to.
pub async fn linear(find: impl Fn() -> Result<Client, ClientError> + Send + 'static) -> Result<()> {
    let wanted = Wanted {
        findings: Some((String::new(), MOST)),
        ..Wanted::default()
    };
    let mut ends = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::terminate(),
    ]
    .map(|kind| signal(kind).context("a signal cannot be handled"))
    .into_iter()
    .collect::<Result<Vec<_>>>()?;
    let mut client = find()?;
    let first = fetch(&mut client, &wanted).await?;
    let mut asker = Asker::new(client, find);
    let mut said = Linear::default();
    print(&said.on(Ok(&first)))?;
    let mut ticks = interval(PERIOD.max(Duration::from_secs(2)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let end = futures::future::select_all(ends.iter_mut().map(|end| Box::pin(end.recv())));
        let answer = tokio::select! {
            _ = end => return Ok(()),
            () = streams::closed() => return Ok(()),
            _ = ticks.tick() => {
                asker.ask(wanted.clone());
                continue;
            }
            answer = asker.answer() => answer?,
        };
        print(&match &answer {
            Ok(fetched) => said.on(Ok(fetched)),
            Err(why) => said.on(Err(why)),
        })?;
    }
}

fn print(lines: &[String]) -> Result<()> {
    match lines {
        [] => Ok(()),
        lines => streams::answer(&format!("{}\n", lines.join("\n"))),
    }
}
