//! What the auditor has answered last, and what the views need of it.

use std::time::Duration;

use pinif_ebpf::verdict::Severity;

use super::rates::Rates;
use crate::control::protocol::{FindingCount, MatrixNow, PolicyNow, Status};
use crate::findings::alert_state::AlertState;
use crate::findings::line::FindingLine;
use crate::findings::matrix::{Matrix, Sender};
use crate::survey::Socket;

/// What was fetched at once.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// How the auditor is.
    pub status: Status,
    /// The matrix, if it was asked for.
    pub matrix: Option<MatrixNow>,
    /// The gravest findings that a filter lets pass, if they were asked for.
    pub findings: Option<Findings>,
    /// One finding, if it was asked for and is still there.
    pub finding: Option<Box<FindingLine>>,
    /// The sockets, if they were asked for.
    pub sockets: Option<Sockets>,
    /// The policy, if it was asked for.
    pub policy: Option<PolicyNow>,
}

/// Sockets, those at the greatest risk first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sockets {
    /// The first of them.
    pub first: Vec<Socket<'static>>,
    /// How many there are.
    pub total: u64,
    /// How many raw sockets the kernel does not list.
    pub unlisted_raw: usize,
    /// Why there are none: the auditor cannot list them.
    pub refused: Option<String>,
}

/// Findings, the gravest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// The filter that they passed, as it was written.
    pub filter: String,
    /// The first of them.
    pub first: Vec<FindingLine>,
    /// How many there are.
    pub total: u64,
}

/// What the auditor has answered last.
#[derive(Debug, Default)]
pub struct Data {
    /// How it is; nothing before its first answer.
    pub status: Option<Status>,
    /// The matrices of all namespaces, in the order of names.
    pub matrix: Vec<Matrix>,
    /// The same, with what has findings first.
    pub gravest: Vec<Matrix>,
    /// Which state of the auditor the matrices are of.
    pub matrix_seq: u64,
    /// How fast the cells grow.
    pub matrix_rates: Rates<Place>,
    /// The findings that the filter lets pass.
    pub findings: Findings,
    /// How fast these grow, by id.
    pub finding_rates: Rates<String>,
    /// How fast the worst of all grow.
    pub worst_rates: Rates<String>,
    /// The finding that is open, as it is now.
    pub finding: Option<FindingLine>,
    /// The sockets.
    pub sockets: Sockets,
    /// The policy in force.
    pub policy: Option<PolicyNow>,
}

/// Where and by whom the packets of a cell were sent: the namespace, the sender, the egress interface.
pub type Place = (String, Sender, String);

impl Data {
    /// Takes what was fetched at that time, and says whether another auditor has answered than before.
    pub fn take(&mut self, fetched: Fetched, now: Duration) -> bool {
        let Fetched {
            status,
            matrix,
            findings,
            finding,
            sockets,
            policy,
        } = fetched;
        let before = self.status.as_ref().map(|status| &status.run);
        let restarted = before.is_some_and(|run| *run != status.run);
        if restarted {
            self.matrix_rates.forget();
            self.finding_rates.forget();
            self.worst_rates.forget();
        }
        if let Some(matrix) = matrix {
            self.matrix = Matrix::of_graded(&matrix.matrix);
            self.gravest = self.matrix.iter().map(Matrix::gravest_first).collect();
            self.matrix_seq = matrix.seq;
            if let Some(at) = since_epoch(&matrix.time) {
                self.matrix_rates.take(at, places(&self.matrix));
            }
        }
        let mut packets = Vec::new();
        if let Some(findings) = findings {
            self.findings = findings;
            let first = self.findings.first.iter();
            packets.extend(first.map(|finding| (finding.id.clone(), finding.packets)));
        }
        if let Some(finding) = finding {
            packets.push((finding.id.clone(), finding.packets));
            self.finding = Some(*finding);
        }
        if !packets.is_empty() {
            self.finding_rates.take(now, packets.into_iter());
        }
        if let Some(sockets) = sockets {
            self.sockets = sockets;
        }
        if policy.is_some() {
            self.policy = policy;
        }
        if let Some(at) = since_epoch(&status.time) {
            let worst = status.worst.iter();
            let packets = worst.map(|finding| (finding.id.clone(), finding.packets));
            self.worst_rates.take(at, packets);
        }
        self.status = Some(status);
        restarted
    }

    /// Has the list of findings begin with the worst, until it comes: a key may open one at once.
    pub fn begin_findings(&mut self) {
        if let (Some(status), true) = (&self.status, self.findings.first.is_empty()) {
            self.findings.first = status.worst.clone();
            self.findings.total = number(status, |_| true);
        }
    }

    /// Whether names of namespaces have to be shown, since there are several.
    pub fn has_several_namespaces(&self) -> bool {
        let Some(status) = &self.status else {
            return false;
        };
        let mut names = status.interfaces.iter().map(|interface| &interface.netns);
        let first = names.next();
        names.any(|name| Some(name) != first)
    }
}

/// How many findings there are that this holds of.
pub fn number(status: &Status, holds: impl Fn(&FindingCount) -> bool) -> u64 {
    let counts = status.findings.iter().filter(|count| holds(count));
    counts.map(|count| count.number).sum()
}

/// The gravest severity of which a finding is open.
pub fn worst(status: &Status) -> Option<Severity> {
    let counts = status.findings.iter();
    let open = counts.filter(|count| count.number > 0 && count.state == AlertState::Open);
    open.map(|count| count.severity).max()
}

/// A time as the auditor writes it, as the time since 1970.
pub fn since_epoch(time: &str) -> Option<Duration> {
    let time: jiff::Timestamp = time.parse().ok()?;
    time.as_duration().try_into().ok()
}

/// All cells, with their packets.
fn places(matrices: &[Matrix]) -> impl Iterator<Item = (Place, u64)> {
    matrices.iter().flat_map(|matrix| {
        matrix.rows.iter().flat_map(|row| {
            row.sums.iter().map(|(column, sum)| {
                let interface = matrix.columns[*column].clone();
                let place = (matrix.netns.clone(), row.sender.clone(), interface);
                (place, sum.packets)
            })
        })
    })
}
