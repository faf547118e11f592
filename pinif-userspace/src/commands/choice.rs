//! Which findings are chosen: what the commands have in common that list them.

use clap::Args;

use crate::control::FindingsFilter;

/// Which findings: those of which all holds that is given.
#[derive(Args, Clone, Debug)]
pub struct Choice {
    /// Only of these kinds, with commas between them
    #[arg(long, value_name = "KINDS")]
    kind: Option<String>,

    /// Only of these severities, with commas between them
    #[arg(long, value_name = "SEVERITIES")]
    severity: Option<String>,

    /// Only in these states, with commas between them
    #[arg(long, value_name = "STATES")]
    state: Option<String>,

    /// Only those that were seen since then: a time, or how long ago, such as 10m
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only in this network namespace; also a pattern
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,

    /// Only of this process: its number, its name or its executable, also a pattern
    #[arg(long, value_name = "PROCESS")]
    process: Option<String>,
}

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
}
