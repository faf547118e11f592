//! What came of a trial, as JSON (`pinif policy test --format json`).

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    page::LearnedPage,
    traffic::{Amount, Sender, Traffic},
    trial::{Broken, Trial},
};

/// What `pinif policy test --format json` prints. More fields may come; readers ignore those that they do not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrialReport {
    /// The policy's file, as it was named.
    pub policy: String,
    /// Since when it was learned what is judged, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
    /// Until when.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
    /// How many sockets of processes were judged.
    pub sockets: u64,
    /// How many entries were judged besides, of what no socket of a process sent.
    pub others: u64,
    /// How many entries were not judged, since an interface of theirs is gone.
    pub not_judged: u64,
    /// How often the auditor had no room for something new, which was not judged.
    pub not_learned: u64,
    /// Whether all that was sent was judged: the last two are zero.
    pub complete: bool,
    /// What would be findings, the gravest first.
    pub findings: Vec<TrialFinding>,
}

/// What would be a finding: one thing to fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrialFinding {
    /// The kind, as of findings.
    pub kind: &'static str,
    /// The severity: `leak`, `risk` or `note`.
    pub severity: &'static str,
    /// The rule's name; null where the kind is about none.
    pub rule: Option<String>,
    /// The name of the network namespace.
    pub netns: String,
    /// Who sent it.
    pub origin: Sender,
    /// The file that the process ran; null where it is unknown.
    pub exe: Option<String>,
    /// The name of the first process; null where it is unknown.
    pub comm: Option<String>,
    /// The socket's user; null where no process sent.
    pub uid: Option<u32>,
    /// The cgroup; null where it is gone, or no process sent.
    pub cgroup: Option<String>,
    /// The bound device; null without one.
    pub bound_device: Option<String>,
    /// Where it left.
    pub egress_interface: String,
    /// How many sockets of processes sent such packets.
    pub sockets: u64,
    /// How many entries without one there are.
    pub others: u64,
    /// Where it went.
    pub destinations: Vec<TrialDestination>,
}

/// Where it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrialDestination {
    /// The destination address.
    pub address: IpAddr,
    /// The number of the IP protocol.
    pub protocol: u8,
    /// The port of the service; null where no port says which it is.
    pub port: Option<u16>,
    /// Whether the service is this host's, which answers.
    pub serves: bool,
    /// How many sockets sent to it; null where there is no socket.
    pub sockets: Option<u64>,
}

impl TrialReport {
    /// Of a trial of a policy that is named so.
    pub fn of(trial: &Trial, policy: &str, learned: &LearnedPage) -> Self {
        let Amount { sockets, others } = trial.judged;
        Self {
            policy: policy.to_owned(),
            since: learned.since.clone(),
            until: learned.time.clone(),
            sockets,
            others,
            not_judged: trial.not_judged,
            not_learned: learned.not_learned,
            complete: trial.not_judged == 0 && learned.not_learned == 0,
            findings: trial.broken.iter().filter_map(TrialFinding::of).collect(),
        }
    }
}

impl TrialFinding {
    fn of(broken: &Broken) -> Option<Self> {
        // What is one finding is the same in all but where it went.
        let first = broken.traffic.first()?.clone();
        Some(Self {
            kind: broken.kind.name(),
            severity: broken.severity.name(),
            rule: broken.rule.clone(),
            netns: first.netns,
            origin: first.origin,
            exe: first.exe,
            comm: first.comm,
            uid: first.uid,
            cgroup: first.cgroup,
            bound_device: first.bound_device,
            egress_interface: first.egress_interface,
            sockets: broken.amount.sockets,
            others: broken.amount.others,
            destinations: broken.traffic.iter().map(TrialDestination::of).collect(),
        })
    }
}

impl TrialDestination {
    fn of(traffic: &Traffic) -> Self {
        Self {
            address: traffic.destination,
            protocol: traffic.protocol,
            port: traffic.port,
            serves: traffic.serves,
            sockets: traffic.sockets,
        }
    }
}
