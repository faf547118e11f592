//! What is said over the control socket: one definition for the server, its clients, the schemas and the OpenAPI description.
//!
//! Names of fields and paths are a contract with scripts. More fields may come; readers ignore those that they do not know.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

use pinif_ebpf::verdict::{Kind, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    findings::{
        alert_state::AlertState,
        line::{FindingLine, Lost, Uncounted},
        names,
        ready::{Attach, Ready},
        summary::{GradedCell, Summary, Totals},
    },
    foresee::closed::ClosedLine,
    policy::described::Described,
    survey::Socket,
};

/// The paths, each of which answers `GET` alone.
pub mod path {
    /// How the audit stands: [`Status`](super::Status).
    pub const STATUS: &str = "/v1/status";
    /// Who has sent how much by which interface: [`MatrixNow`](super::MatrixNow).
    pub const MATRIX: &str = "/v1/matrix";
    /// Findings, a page of them: [`FindingsPage`](super::FindingsPage).
    pub const FINDINGS: &str = "/v1/findings";
    /// One finding, with its id at the end: [`FindingLine`](super::FindingLine).
    pub const FINDING: &str = "/v1/findings/{id}";
    /// The sockets, and where each would leave, a page of them: [`SocketsPage`](super::SocketsPage).
    pub const SOCKETS: &str = "/v1/sockets";
    /// Sockets of a namespace that were closed, and that no finding says anything of: [`ClosedSockets`](super::ClosedSockets).
    pub const CLOSED: &str = "/v1/closed";
    /// What was learned of what is sent by whom, a page of it: [`LearnedPage`](crate::learned::LearnedPage).
    pub const LEARNED: &str = "/v1/learned";
    /// What is foreseen now: [`ForeseenNow`](super::ForeseenNow).
    pub const FORESEEN: &str = "/v1/foreseen";
    /// What happens from now on: lines of [`EventLine`](super::EventLine).
    pub const EVENTS: &str = "/v1/events";
    /// The policy in force: [`PolicyNow`](super::PolicyNow).
    pub const POLICY: &str = "/v1/policy";
    /// All counters and states for Prometheus and what reads its formats: OpenMetrics text where it is asked for, else the older one.
    pub const METRICS: &str = "/v1/metrics";
    /// All of this, as OpenAPI 3.1.
    pub const OPENAPI: &str = "/v1/openapi.json";
    /// All of them.
    pub const ALL: [&str; 12] = [
        STATUS, MATRIX, FINDINGS, FINDING, SOCKETS, CLOSED, LEARNED, FORESEEN, EVENTS, POLICY,
        METRICS, OPENAPI,
    ];
}

/// How an audit stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The version of pinif.
    pub version: String,
    /// The auditor's process id, as itself sees it.
    pub pid: u32,
    /// A random UUID of this run of the auditor: after a restart it is another.
    pub run: String,
    /// The UUID of the machine's boot.
    pub boot: String,
    /// The machine's id (`/etc/machine-id`); null where it has none.
    pub host: Option<String>,
    /// What the machine is called besides (`--label`).
    pub labels: BTreeMap<String, String>,
    /// The number of this state: each is newer than those with smaller ones, of the same run. `/v1/matrix` says which it is of.
    pub seq: u64,
    /// When it was so, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// When the counts begin; with `--persist`, when the first collector started.
    #[schemars(extend("format" = "date-time"))]
    pub started: String,
    /// The same in nanoseconds of the boot's clock (`CLOCK_MONOTONIC`). With `boot`, it is what the counts are known by: a run that goes
    /// on with the counts of the one before (`--persist`) has the same number, and any other has another.
    pub started_monotonic_ns: u64,
    /// How the programs are attached.
    pub attach: Attach,
    /// How it is noticed that somebody removes what is attached, or puts something before it.
    pub attachment_check: AttachmentCheck,
    /// Whether leaks are dropped.
    pub enforces: bool,
    /// What keeps the audit from seeing or counting all; empty where nothing does.
    pub incomplete: Vec<Incomplete>,
    /// The policy in force.
    pub policy: PolicyStatus,
    /// The interfaces that are audited, and those that cannot be.
    pub interfaces: Vec<InterfaceStatus>,
    /// What left so far, and what was dropped.
    #[serde(flatten)]
    pub totals: Totals,
    /// What could not be counted or shown so far, by the place that lost it; empty when nothing was lost.
    pub uncounted: BTreeMap<String, u64>,
    /// What is captured of findings (`--capture`); null where nothing is.
    pub capture: Option<CaptureStatus>,
    /// How many findings there are of each severity, kind and state, the gravest first.
    pub findings: Vec<FindingCount>,
    /// The gravest findings, those with the most packets first; at most five.
    pub worst: Vec<FindingLine>,
    /// Who asks now.
    pub readers: Vec<Reader>,
}

/// How it is noticed that somebody removes what is attached, or puts something before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachmentCheck {
    /// What makes the auditor look.
    pub by: CheckedBy,
    /// Why a timer is needed; empty without one.
    pub because: Vec<String>,
}

/// What makes the auditor look whether all is still attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckedBy {
    /// What changes it: the kernel reports that, and the auditor looks at once, and once a minute besides.
    Event,
    /// A timer, every two seconds.
    Timer,
}

/// What is captured of findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureStatus {
    /// The file.
    pub file: PathBuf,
    /// How many packets this run has written to it.
    pub packets: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many packets are not in it that should be: there was no room for them in the ring buffer (`captures-full` of `uncounted`), in the queue
    /// before the file, or in the file.
    pub not_captured: u64,
    /// Why nothing is written to it any more; null where it is.
    pub stopped: Option<String>,
}

/// What keeps an audit from seeing or counting all.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Incomplete {
    /// The audit begins: not all interfaces are attached yet.
    Starting,
    /// An interface cannot be audited: `interfaces` has it, and why.
    InterfaceRefused,
    /// A newer policy did not come into force: `policy.failure` says why.
    ReloadFailed,
    /// Packets were not counted: `uncounted` says where.
    NotCounted,
}

/// How many findings there are of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingCount {
    /// How grave they are.
    #[serde(with = "names::severity_name")]
    #[schemars(schema_with = "names::severity_schema")]
    pub severity: Severity,
    /// The kind.
    #[serde(with = "names::kind_name")]
    #[schemars(schema_with = "names::kind_schema")]
    pub kind: Kind,
    /// Whether somebody is to look at them now.
    pub state: AlertState,
    /// How many.
    pub number: u64,
}

/// The policy in force, without what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyStatus {
    /// Where it is from, and since when it is in force.
    #[serde(flatten)]
    pub source: PolicySource,
    /// How many zones it has.
    pub zones: usize,
    /// How many rules it has.
    pub rules: usize,
}

/// An interface, and whether it is audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterfaceStatus {
    /// The name of its network namespace.
    pub netns: String,
    /// Its name.
    pub name: String,
    /// Why it is not audited; null where it is.
    pub refused: Option<String>,
}

/// Somebody who asks over the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reader {
    /// The process; null where it has no number here.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: u32,
    /// Whether it follows `/v1/events`.
    pub follows: bool,
}

/// Who has sent how much by which interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixNow {
    /// The number of the state that it is of.
    pub seq: u64,
    /// When it was so, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// When the counts begin.
    #[schemars(extend("format" = "date-time"))]
    pub started: String,
    /// What left so far, and what was dropped.
    #[serde(flatten)]
    pub totals: Totals,
    /// The cells, each with its severity.
    pub matrix: Vec<GradedCell>,
}

/// Findings, in the order of their first sightings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingsPage {
    /// How many there are that are asked for, on all pages.
    pub total: u64,
    /// What `from` is of the next page; null on the last one.
    pub next: Option<u64>,
    /// The findings, with their counts of now.
    pub findings: Vec<FindingLine>,
}

/// The sockets of the audited namespaces, those at the greatest risk first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SocketsPage<'a> {
    /// When they were listed, in UTC (RFC 3339) with microseconds: at most two seconds ago.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// How many there are that are asked for, on all pages.
    pub total: u64,
    /// What `from` is of the next page; null on the last one.
    pub next: Option<u64>,
    /// How many raw sockets there are besides, which the kernel does not list: it has no `CONFIG_INET_RAW_DIAG`.
    pub unlisted_raw: usize,
    /// The sockets.
    pub sockets: Vec<Socket<'a>>,
}

/// Sockets of a namespace that were closed: the latest of UDP and TCP, one of each program, protocol, interface and address that it sent
/// from; at most 256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClosedSockets {
    /// When that was so, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// The sockets.
    pub sockets: Vec<ClosedLine>,
}

/// What would leak if an interface went down, as an auditor with `--foresee` knows it now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForeseenNow {
    /// Whether it is foreseen at all (`--foresee`).
    pub foresees: bool,
    /// How much of it there is.
    pub total: u64,
    /// The first of it, at most 250, by what would have to happen (`if`).
    pub findings: Vec<FindingLine>,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyNow {
    /// Where it is from, and since when it is in force.
    #[serde(flatten)]
    pub source: PolicySource,
    /// What it says.
    #[serde(flatten)]
    pub described: Described,
}

/// Where a policy is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicySource {
    /// The file that it was read from; null without a policy.
    pub path: Option<PathBuf>,
    /// The SHA-256 of that file, as `sha256sum` prints it; null without a policy.
    pub digest: Option<String>,
    /// Since when it is in force in this run.
    #[schemars(extend("format" = "date-time"))]
    pub loaded: String,
    /// What is wrong with a newer one, while this one stays in force; null where the last that was read is in force.
    pub failure: Option<Vec<String>>,
}

/// One line of `/v1/events`. `type` says which. The first is a `status`; so is the one after each `lost`. `finding`, `uncounted`
/// and `summary` are those of `pinif audit --format json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum EventLine<'a> {
    /// How the audit stands now.
    Status(Box<Status>),
    /// All programs are attached: from here on, every packet is judged.
    Ready(Cow<'a, Ready>),
    /// A finding: at its first sighting, and again when its counts have grown or more is known of it.
    Finding(Box<FindingLine>),
    /// Something cannot be counted or shown.
    Uncounted(Uncounted),
    /// Something to be known that is no finding.
    Notice(NoticeLine),
    /// Events are missing here, since they were not read fast enough. All packets are counted: ask `/v1/findings` again.
    Lost(Lost),
    /// The auditor goes on, whatever else there is to say.
    Alive,
    /// The audit has ended: exact totals.
    Summary(Cow<'a, Summary>),
    /// A line of a type that this version does not know: it is only read.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl EventLine<'_> {
    /// Its type, as the line has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Ready(_) => "ready",
            Self::Finding(_) => "finding",
            Self::Uncounted(_) => "uncounted",
            Self::Notice(_) => "notice",
            Self::Lost(_) => "lost",
            Self::Alive => "alive",
            Self::Summary(_) => "summary",
            Self::Unknown => "unknown",
        }
    }
}

/// Something to be known that is no finding, such as a policy that was reloaded: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeLine {
    /// How much it matters.
    pub level: NoticeLevel,
    /// What there is to know.
    pub text: String,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoticeLevel {
    /// As it should be.
    Info,
    /// Something to look at.
    Warning,
    /// Something is wrong.
    Error,
}

/// The error of an auditor whose audit has ended.
pub const ENDED: &str = "the audit has ended, and detaches its programs still";

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub fix: String,
}
