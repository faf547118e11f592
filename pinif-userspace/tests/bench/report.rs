//! All that an auditor said, and whether it agrees with itself.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;
use std::sync::LazyLock;

use jsonschema::Validator;
use pinif_ebpf::loss::Loss;
use pinif_ebpf::verdict::{CellVerdict, Kind, Severity};
use pinif_lab::{Counters, FALLBACK_TUNNELS, is_emulated};
use pinif_userspace::findings::alert_state::AlertState;
use pinif_userspace::findings::finding::PacketDirection;
use pinif_userspace::findings::line::{FindingLine, Line, schema};
use pinif_userspace::findings::ready::Ready;
use pinif_userspace::findings::summary::{Cell, Summary};
use serde_json::Value;

use super::expect::Expectation;

/// The interfaces that somebody made.
pub fn made(ready: &Ready) -> Vec<&str> {
    let names = ready.interfaces.iter().map(String::as_str);
    names
        .filter(|name| !FALLBACK_TUNNELS.contains(name))
        .collect()
}

/// All that an auditor said.
#[derive(Debug)]
pub struct Report {
    pub ready: Ready,
    /// The last line of each finding, in the order of their first.
    pub findings: Vec<FindingLine>,
    pub summary: Summary,
    pub status: ExitStatus,
    pub stderr: String,
    /// What each link's driver sent in the meantime.
    pub driver: BTreeMap<&'static str, Counters>,
    /// Its lines after the first, as they are.
    pub lines: Vec<String>,
}

/// A row and a column of the matrix, and a verdict ([`verdict`]).
pub type Place = (Option<String>, String, String);

/// What became of packets: the verdict, of which none is `contained`, and whether they were dropped for it.
pub(super) fn verdict(verdict: CellVerdict, dropped: bool) -> String {
    let verdict = verdict.name();
    if dropped {
        format!("{verdict}, dropped")
    } else {
        verdict.to_owned()
    }
}

/// What becomes of packets whose headers cannot be read, where a policy is enforced: no finding is of them.
pub(super) const UNREADABLE: &str = "unaudited, dropped";
/// The same of what was dropped where it arrived.
pub(super) const KEPT_OUT: &str = "ingress-escape, dropped";

impl Report {
    pub(super) fn new(
        ready: &str,
        lines: &[String],
        status: ExitStatus,
        stderr: String,
        driver: BTreeMap<&'static str, Counters>,
    ) -> Self {
        let Some((last, findings)) = lines.split_last() else {
            panic!("the auditor ended ({status}) without a summary:\n{stderr}");
        };
        let report = Self {
            ready: self::ready(ready),
            findings: last_of_each(findings),
            summary: summary(last),
            status,
            stderr,
            driver,
            lines: lines.to_vec(),
        };
        report.agrees_with_itself();
        report
    }

    /// What was said of one of the audited namespaces alone, whose links' drivers sent this in the meantime. What was not counted
    /// is not counted by namespace, and neither are the interfaces.
    pub fn part(&self, netns: &str, driver: BTreeMap<&'static str, Counters>) -> Self {
        let of_it = |finding: &&FindingLine| finding.netns == netns;
        let findings: Vec<_> = self.findings.iter().filter(of_it).cloned().collect();
        let cells = self.summary.matrix.iter();
        let matrix: Vec<_> = cells.filter(|cell| cell.netns == netns).cloned().collect();
        let once = || matrix.iter().filter(|cell| !cell.dropped && !cell.carried);
        let dropped = matrix.iter().filter(|cell| cell.dropped);
        let summary = Summary {
            duration_s: self.summary.duration_s,
            packets: once().map(|cell| cell.packets).sum(),
            bytes: once().map(|cell| cell.bytes).sum(),
            dropped: dropped.map(|cell| cell.packets).sum(),
            findings: findings.len() as u64,
            accepted: accepted(&findings),
            policy: self.summary.policy,
            uncounted: self.summary.uncounted.clone(),
            matrix,
        };
        let ready = Ready {
            enter: Default::default(),

            netns: vec![netns.to_owned()],
            ..self.ready.clone()
        };
        let is_of_another =
            |line: &&String| finding(line).is_some_and(|finding| finding.netns != netns);
        let lines = self.lines.iter().filter(|line| !is_of_another(line));
        let part = Self {
            ready,
            // It ends with 2 for any leak: one that is in this part, or one of others.
            status: if has_leak(&findings) || !has_leak(&self.findings) {
                self.status
            } else {
                assert_eq!(self.status.code(), Some(2), "a leak was found\n{self}");
                ExitStatus::default()
            },
            findings,
            summary,
            stderr: self.stderr.clone(),
            driver,
            lines: lines.cloned().collect(),
        };
        part.agrees_with_itself();
        part
    }

    /// Begins to say what the report must be, as a whole.
    pub fn expect(&self) -> Expectation<'_> {
        Expectation::of(self)
    }

    /// What one link's driver sent in the meantime.
    pub fn sent_by(&self, link: &str) -> Counters {
        self.driver[link]
    }

    /// The matrix, summed where senders of several origins share a place.
    pub fn places(&self) -> BTreeMap<Place, (u64, u64)> {
        sum(self.summary.matrix.iter().map(|cell| {
            let place = (
                cell.bound_device.clone(),
                cell.egress_interface.clone(),
                verdict(cell.verdict, cell.dropped),
            );
            (place, (cell.packets, cell.bytes))
        }))
    }

    fn agrees_with_itself(&self) {
        let places = self.places();
        // What cannot be seen, has not happened, or is a group alone, has no packets, and what comes in is in no cell.
        let seen = self.findings.iter().filter(|finding| {
            finding.kind != Kind::Unaudited && finding.packets > 0 && finding.latent != Some(true)
        });
        let found = sum(seen.flat_map(|finding| {
            let place = |bound: &Option<String>, interface: &String, kind| {
                (
                    bound.clone(),
                    interface.clone(),
                    verdict(CellVerdict::Found(kind), finding.dropped),
                )
            };
            let has_cell = finding.direction == PacketDirection::Out || finding.dropped;
            let own = has_cell.then(|| {
                let place = place(
                    &finding.bound_device,
                    &finding.egress_interface,
                    finding.kind,
                );
                (place, (finding.packets, finding.bytes))
            });
            let related = finding.related.iter();
            let related = related.filter(|one| one.direction == PacketDirection::Out);
            let related = related.map(|one| {
                let place = place(&one.bound_device, &one.egress_interface, one.kind);
                (place, (one.packets, one.bytes))
            });
            own.into_iter().chain(related).collect::<Vec<_>>()
        }));
        let uncontained: BTreeMap<_, _> = places
            .iter()
            .filter(|(place, _)| !["contained", "allowed", UNREADABLE].contains(&&*place.2))
            .map(|(k, v)| (k.clone(), *v))
            .collect();
        // What could not be read where it arrived has a cell and no finding, too.
        let unread = self.summary.uncounted.contains_key(Loss::Unparsed.name());
        let compared = |mut all: BTreeMap<Place, _>| {
            all.retain(|place, _| !unread || place.2 != KEPT_OUT);
            all
        };
        let (found, uncontained) = (compared(found), compared(uncontained));
        // What there is no room for has a cell and no finding.
        if !self
            .summary
            .uncounted
            .contains_key(Loss::FindingsFull.name())
        {
            assert_eq!(
                found, uncontained,
                "the findings' counts are not the cells'\n{self}"
            );
        }
        let (dropped, left): (Vec<&Cell>, Vec<&Cell>) =
            self.summary.matrix.iter().partition(|cell| cell.dropped);
        assert_eq!(
            dropped.iter().map(|cell| cell.packets).sum::<u64>(),
            self.summary.dropped,
            "the dropped packets are not the matrix's\n{self}"
        );
        let once = left.iter().filter(|cell| !cell.carried);
        let total = once.fold((0, 0), |sum, cell| {
            (sum.0 + cell.packets, sum.1 + cell.bytes)
        });
        assert_eq!(
            total,
            (self.summary.packets, self.summary.bytes),
            "the totals are not the matrix's\n{self}"
        );
        assert_eq!(
            self.summary.findings,
            self.findings.len() as u64,
            "the number of findings is another\n{self}"
        );
        assert_eq!(
            self.summary.accepted,
            accepted(&self.findings),
            "another number of findings is accepted\n{self}"
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "── the auditor ended with {}, and said:", self.status)?;
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "── on standard error:\n{}", self.stderr)?;
        writeln!(f, "── the links' own counters: {:#?}", self.driver)
    }
}

/// How many of them the policy accepts.
fn accepted(findings: &[FindingLine]) -> u64 {
    let all = findings.iter();
    all.filter(|finding| finding.state == AlertState::Accepted)
        .count() as u64
}

fn has_leak(findings: &[FindingLine]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity == Severity::Leak && finding.state != AlertState::Accepted)
}

fn sum(counts: impl Iterator<Item = (Place, (u64, u64))>) -> BTreeMap<Place, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (place, (packets, bytes)) in counts {
        let sum: &mut (u64, u64) = sums.entry(place).or_default();
        sum.0 += packets;
        sum.1 += bytes;
    }
    sums
}

/// A line, which must be as the published schema has it, and be read and written as the same. The schema is not asked where the
/// processor is emulated: to compile it takes a tenth of such a test, and this machine's kernel has the same lines.
pub(super) fn check(line: &str) -> Line<'static> {
    static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
        jsonschema::options()
            .should_validate_formats(true)
            .build(&schema())
            .expect("the schema is one")
    });
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    if !is_emulated()
        && let Err(error) = SCHEMA.validate(&value)
    {
        panic!("against the schema: {error}: {line}");
    }
    let typed: Line<'static> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let again = serde_json::to_value(&typed).expect("JSON");
    assert_eq!(again, value, "it is read as another line");
    typed
}

/// The first line.
pub(super) fn ready(line: &str) -> Ready {
    match check(line) {
        Line::Ready(ready) => ready.into_owned(),
        _ => panic!("it is not the first line: {line}"),
    }
}

/// A finding's line; `None` for another line.
pub(super) fn finding(line: &str) -> Option<FindingLine> {
    match check(line) {
        Line::Finding(finding) => Some(*finding),
        _ => None,
    }
}

/// The last line.
fn summary(line: &str) -> Summary {
    match check(line) {
        Line::Summary(summary) => summary.into_owned(),
        _ => panic!("it is not the last line: {line}"),
    }
}

/// The last line of each finding; a later line of the same may only have grown.
fn last_of_each(lines: &[String]) -> Vec<FindingLine> {
    let mut findings: Vec<FindingLine> = Vec::new();
    for line in lines {
        let finding = match check(line) {
            Line::Finding(finding) => *finding,
            Line::Uncounted(_) => continue,
            _ => panic!("between the first line and the last: {line}"),
        };
        match findings.iter_mut().find(|earlier| earlier.id == finding.id) {
            Some(earlier) => {
                assert!(
                    finding.packets >= earlier.packets && finding.bytes >= earlier.bytes,
                    "a count fell: {line}"
                );
                assert_eq!(
                    (finding.kind, &finding.netns, finding.dropped),
                    (earlier.kind, &earlier.netns, earlier.dropped),
                    "{line}"
                );
                *earlier = finding;
            }
            None => findings.push(finding),
        }
    }
    findings.retain(|finding| finding.part_of.is_none());
    findings
}
