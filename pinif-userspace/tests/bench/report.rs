//! All that an auditor said, and whether it agrees with itself.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;
use std::sync::LazyLock;

use jsonschema::Validator;
use pinif_ebpf::loss::Loss;
use pinif_lab::{Counters, FALLBACK_TUNNELS};
use pinif_userspace::findings::line::{Line, schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::expect::Expectation;

/// The line that says that all is attached.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    pub interfaces: Vec<String>,
    pub netns: Vec<String>,
    pub attach: String,
    pub enforce: bool,
}

impl Ready {
    /// The interfaces that somebody made.
    pub fn made(&self) -> Vec<&str> {
        let names = self.interfaces.iter().map(String::as_str);
        names
            .filter(|name| !FALLBACK_TUNNELS.contains(name))
            .collect()
    }
}

/// A finding, as its last line has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    pub id: String,
    pub kind: String,
    pub severity: String,
    pub rule: Option<String>,
    pub netns: String,
    pub bound_device: Option<String>,
    pub bound_address: Option<String>,
    pub egress_interface: String,
    pub direction: String,
    pub protocol: String,
    pub source: String,
    pub destination: String,
    pub packets: u64,
    pub bytes: u64,
    pub socket_cookie: Option<u64>,
    pub process: Option<Process>,
    pub subject: Value,
    pub processes: Sampled<ProcessSample>,
    pub sockets: Sampled<SocketSample>,
    pub destinations: Sampled<DestinationSample>,
    pub cause: String,
    pub explanation: String,
    pub remedy: String,
    pub dropped: bool,
    /// It is foreseen.
    #[serde(default)]
    pub latent: bool,
}

/// What a finding has seen of something.
#[derive(Clone, Debug, Deserialize)]
pub struct Sampled<T> {
    pub count: u64,
    pub more: bool,
    pub samples: Vec<T>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ProcessSample {
    pub pid: u32,
    pub packets: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct SocketSample {
    pub socket_cookie: u64,
    pub packets: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct DestinationSample {
    pub protocol: String,
    pub destination: String,
    pub packets: u64,
}

/// The process of a finding.
#[derive(Clone, Debug, Deserialize)]
pub struct Process {
    pub pid: u32,
    pub comm: String,
    pub exe: Option<String>,
    pub uid: u32,
    pub cgroup: Option<String>,
}

/// The last line.
#[derive(Debug, Deserialize)]
pub struct Summary {
    pub duration_s: f64,
    pub packets: u64,
    pub bytes: u64,
    pub dropped: u64,
    pub matrix: Vec<Cell>,
    pub findings: usize,
    pub uncounted: BTreeMap<String, u64>,
}

/// A cell of the matrix.
#[derive(Clone, Debug, Deserialize)]
pub struct Cell {
    pub netns: String,
    pub bound_device: Option<String>,
    pub egress_interface: String,
    pub packets: u64,
    pub bytes: u64,
    pub verdict: String,
    pub carried: bool,
    pub dropped: bool,
}

/// All that an auditor said.
#[derive(Debug)]
pub struct Report {
    pub ready: Ready,
    /// The last line of each finding, in the order of their first.
    pub findings: Vec<Told>,
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

/// What became of packets: the verdict, and whether they were dropped for it.
pub(super) fn verdict(verdict: &str, dropped: bool) -> String {
    if dropped {
        format!("{verdict}, dropped")
    } else {
        verdict.to_owned()
    }
}

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
            summary: parse(last, "summary"),
            status,
            stderr,
            driver,
            lines: lines.to_vec(),
        };
        report.agrees_with_itself();
        report
    }

    /// What was said of one of the audited namespaces alone, whose links' drivers sent this in the meantime. What was not counted
    /// is not told apart by namespace, and neither are the interfaces.
    pub fn part(&self, netns: &str, driver: BTreeMap<&'static str, Counters>) -> Self {
        let of_it = |told: &&Told| told.netns == netns;
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
            findings: findings.len(),
            uncounted: self.summary.uncounted.clone(),
            matrix,
        };
        let ready = Ready {
            netns: vec![netns.to_owned()],
            ..self.ready.clone()
        };
        let is_of_another = |line: &&String| finding(line).is_some_and(|told| told.netns != netns);
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
                verdict(&cell.verdict, cell.dropped),
            );
            (place, (cell.packets, cell.bytes))
        }))
    }

    fn agrees_with_itself(&self) {
        let places = self.places();
        // What cannot be seen, or has not happened, has no packets, and what arrives is in no cell.
        let seen = self
            .findings
            .iter()
            .filter(|told| told.kind != "unaudited" && told.direction == "out" && !told.latent);
        let found = sum(seen.map(|told| {
            let place = (
                told.bound_device.clone(),
                told.egress_interface.clone(),
                verdict(&told.kind, told.dropped),
            );
            (place, (told.packets, told.bytes))
        }));
        let uncontained: BTreeMap<_, _> = places
            .iter()
            .filter(|(place, _)| place.2 != "contained")
            .map(|(k, v)| (k.clone(), *v))
            .collect();
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
            self.findings.len(),
            "the number of findings is another\n{self}"
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

fn has_leak(findings: &[Told]) -> bool {
    findings.iter().any(|told| told.severity == "leak")
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

/// What a line says, which must be as the published schema has it, and as the published type reads and writes it.
pub(super) fn check(line: &str) -> Value {
    static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
        jsonschema::options()
            .should_validate_formats(true)
            .build(&schema())
            .expect("the schema is one")
    });
    let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    if let Err(error) = SCHEMA.validate(&value) {
        panic!("against the schema: {error}: {line}");
    }
    let typed: Line<'_> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let again = serde_json::to_value(&typed).expect("JSON");
    assert_eq!(again, value, "it is read as another line");
    value
}

/// What the first line says.
pub(super) fn ready(line: &str) -> Ready {
    parse(line, "ready")
}

/// What a line of a finding says; `None` for another line.
pub(super) fn finding(line: &str) -> Option<Told> {
    let value = check(line);
    (value["type"] == "finding").then(|| read(value, line))
}

fn parse<T: DeserializeOwned>(line: &str, kind: &str) -> T {
    let value = check(line);
    assert_eq!(value["type"], kind, "{line}");
    read(value, line)
}

fn read<T: DeserializeOwned>(value: Value, line: &str) -> T {
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The last line of each finding; a later line of the same may only have grown.
fn last_of_each(lines: &[String]) -> Vec<Told> {
    let mut findings: Vec<Told> = Vec::new();
    for line in lines {
        let Some(told) = finding(line) else {
            assert_eq!(check(line)["type"], "uncounted", "{line}");
            continue;
        };
        match findings.iter_mut().find(|earlier| earlier.id == told.id) {
            Some(earlier) => {
                assert!(
                    told.packets >= earlier.packets && told.bytes >= earlier.bytes,
                    "a count fell: {line}"
                );
                assert_eq!(
                    (&told.kind, &told.netns, told.dropped),
                    (&earlier.kind, &earlier.netns, earlier.dropped),
                    "{line}"
                );
                *earlier = told;
            }
            None => findings.push(told),
        }
    }
    findings
}
