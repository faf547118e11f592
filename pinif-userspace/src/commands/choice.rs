//! Which findings are chosen: what the commands have in common that list them.

use std::time::SystemTime;

use clap::Args;

use super::unmatched::{self, Chosen, readable};
use crate::{
    control::FindingsFilter,
    findings::{
        line::FindingLine,
        query::{self, OfProcess},
    },
    text::glob::glob,
};

/// Which findings: those of which all holds that is given.
#[derive(Args, Clone, Debug)]
pub struct Choice {
    /// Only of these kinds, with commas between them
    #[arg(long, value_name = "KINDS", value_parser = readable(query::kinds))]
    kind: Option<String>,

    /// Only of these severities, with commas between them
    #[arg(long, value_name = "SEVERITIES", value_parser = readable(query::severities))]
    severity: Option<String>,

    /// Only in these states, with commas between them
    #[arg(long, value_name = "STATES", value_parser = readable(query::states))]
    state: Option<String>,

    /// Only those that were seen since then: a time, or how long ago, such as 10m
    #[arg(long, value_name = "TIME", value_parser = readable(|text| query::moment(text, SystemTime::now())))]
    since: Option<String>,

    /// Only in this network namespace; also a pattern
    #[arg(long, value_name = "NAME", value_parser = readable(glob))]
    netns: Option<String>,

    /// Only of this process: its number, its name or its executable, also a pattern
    #[arg(long, value_name = "PROCESS", value_parser = readable(OfProcess::read))]
    process: Option<String>,
}

/// What a finding says of what an option asks for.
type Says = fn(&FindingLine) -> Option<String>;

impl Choice {
    /// The same as a request has it.
    pub fn filter(&self) -> FindingsFilter {
        FindingsFilter {
            kind: self.kind.clone(),
            severity: self.severity.clone(),
            state: self.state.clone(),
            since: self.since.clone(),
            netns: self.netns.clone(),
            process: self.process.clone(),
            from: None,
            limit: None,
        }
    }

    /// Why none of these findings is chosen; nothing where there is none.
    pub fn unmatched(&self, findings: &[FindingLine]) -> Option<String> {
        let mut chosen = Vec::new();
        let mut option = |option, value: &Option<String>, alone: FindingsFilter, says: Says| {
            let query = alone.query(SystemTime::now()).ok();
            if let (Some(value), Some(query)) = (value.clone(), query) {
                chosen.push(Chosen {
                    option,
                    value,
                    is_any: findings.iter().any(|line| query.takes_line(line)),
                    there: findings.iter().filter_map(says).collect(),
                });
            }
        };
        let none = FindingsFilter::default;
        let kind = self.kind.clone();
        option(
            "kind",
            &self.kind,
            FindingsFilter { kind, ..none() },
            |line| Some(line.kind.name().to_owned()),
        );
        let severity = self.severity.clone();
        option(
            "severity",
            &self.severity,
            FindingsFilter { severity, ..none() },
            |line| Some(line.severity.name().to_owned()),
        );
        let state = self.state.clone();
        option(
            "state",
            &self.state,
            FindingsFilter { state, ..none() },
            |line| Some(line.state.name().to_owned()),
        );
        let since = self.since.clone();
        option(
            "since",
            &self.since,
            FindingsFilter { since, ..none() },
            |_| None,
        );
        let netns = self.netns.clone();
        option(
            "netns",
            &self.netns,
            FindingsFilter { netns, ..none() },
            |line| Some(line.netns.clone()),
        );
        let process = self.process.clone();
        option(
            "process",
            &self.process,
            FindingsFilter { process, ..none() },
            |line| line.process.as_ref().map(|process| process.comm.clone()),
        );
        unmatched::sentence(findings.len(), "finding", &chosen)
    }
}
