//! What pinif says: the lines of its output, which every sink shows in its own way.
//!
//! Names and order of the fields are a contract with scripts; `docs/schema/pinif-audit.schema.json` is made from these
//! types. Texts are as the kernel and the processes wrote them: each sink escapes them for where it writes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use pinif_ebpf::verdict::{Kind, Severity};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::{latent::Latent, samples::Samples, subject::Subject};
use crate::text::hash::fnv1a;

/// One line that `pinif audit --format json` prints. `type` tells which: first `ready`, then each `finding` as often as
/// its counts grow, at most once a second, and `summary` last. `lost` stands where lines are missing. More fields and types may
/// come; readers ignore those they do not know.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(title = "A line of pinif audit --format json")]
pub enum Line<'a> {
    /// All programs are attached: from here on, every packet is judged.
    Ready(&'a Ready),
    /// A finding at its first sighting, and again with the same `id` when its counts have grown or more is known of it.
    Finding(Told<'a>),
    /// The audit has ended: exact totals.
    Summary(&'a Summary),
    /// Something cannot be counted or shown: when the first is lost, within a second, and again as the number grows.
    Uncounted(Uncounted),
    /// Lines are missing here that could not be written, as on a full disk.
    Lost(Lost),
}

/// What could not be counted or shown so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Uncounted {
    /// The place that lost it, as in the summary's `uncounted`.
    pub reason: &'static str,
    /// How much it has lost, in all.
    pub number: u64,
}

/// Lines that could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Lost {
    /// How many.
    pub lines: u64,
}

/// A finding as a line tells it. One that is foreseen (`--foresee`) has not happened: its `severity` is `risk`, its `packets`
/// and `bytes` are 0, and `cause` is the route that the packets would take.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Told<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    /// It is foreseen; only of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    latent: Option<bool>,
    /// What would have to happen: `fab0 down`; only of what is foreseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#if: Option<&'a str>,
}

impl<'a> From<&'a Finding> for Told<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            finding,
            latent: None,
            r#if: None,
        }
    }
}

impl<'a> From<&'a Latent> for Told<'a> {
    fn from(latent: &'a Latent) -> Self {
        Self {
            finding: &latent.finding,
            latent: Some(true),
            r#if: Some(&latent.condition),
        }
    }
}

/// What is audited, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ready {
    /// The names of the audited interfaces, in the order of `netns`. The same name may stand in several namespaces.
    pub interfaces: Vec<String>,
    /// The audited network namespaces.
    pub netns: Vec<String>,
    /// The kernel's release, as `uname -r` says it.
    pub kernel: String,
    /// How the programs are attached.
    pub attach: Attach,
    /// Whether leaks are dropped (`--enforce`).
    pub enforce: bool,
    /// The version of pinif.
    pub version: String,
}

/// How the programs hang on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// TCX links, since Linux 6.6.
    Tcx,
    /// Filters of the `clsact` qdisc, before.
    Clsact,
}

impl Attach {
    /// The name in JSON and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// One thing to fix: one kind, of one subject, with one bound device, egress interface and rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The same for all lines of one finding, and for no other finding of this run.
    #[schemars(regex(pattern = "^[0-9a-f]{12}$"))]
    pub id: String,
    /// When the first packet was seen, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// What is wrong.
    #[serde(serialize_with = "kind_name")]
    #[schemars(schema_with = "kind_schema")]
    pub kind: Kind,
    /// How grave it is: `leak`, it left where it must not; `risk`, it left well by luck; `note`, it is odd.
    #[serde(serialize_with = "severity_name")]
    #[schemars(schema_with = "severity_schema")]
    pub severity: Severity,
    /// The policy's rule that it breaks.
    pub rule: Option<String>,
    /// The network namespace of the egress interface.
    pub netns: String,
    /// The interface that the socket is bound to (`sk_bound_dev_if`); of a copy, the one that its original's is bound to.
    pub bound_device: Option<String>,
    /// The address that the socket is bound to (`bind()`).
    pub bound_address: Option<String>,
    /// Where the packets left, or would have left, had they not been dropped; of `ingress-escape`, where they arrived.
    pub egress_interface: String,
    /// Whether they left there or arrived there.
    pub direction: Direction,
    /// The protocol's name in lower case (`udp`, `tcp`, `icmp`, …), or its number.
    pub protocol: String,
    /// The first packet's source: `10.0.0.1:40000`, `[fd00::1]:40000`, or the address alone where there is no port.
    pub source: String,
    /// The first packet's destination, written like `source`.
    pub destination: String,
    /// How many packets so far, as they are on the wire: a GSO packet counts as its segments.
    pub packets: u64,
    /// How many bytes these had, with the link header.
    pub bytes: u64,
    /// The cookie of the first packet's socket (`SO_COOKIE`).
    pub socket_cookie: Option<u64>,
    /// The process that owns the first packet's socket, where it is known. The socket is the one that sent it; of
    /// `ingress-escape`, the one that takes it.
    pub process: Option<Process>,
    /// Why it left there, as far as this machine can tell; several causes are joined with `; `.
    pub cause: String,
    /// What happened, in a sentence or two.
    pub explanation: String,
    /// What mends it.
    pub remedy: String,
    /// Who is at fault; null of what is foreseen, and of an `unaudited` that no program causes.
    pub subject: Option<Subject>,
    /// What it has seen: `processes`, `sockets` and `destinations`.
    #[serde(flatten)]
    pub samples: Samples,
    /// Who sent it; of `ingress-escape`, who takes it: `kernel` where no socket can be looked up (all but TCP and UDP), `none`
    /// where no socket takes it.
    pub origin: Origin,
    /// The packets were dropped, and did not leave (`--enforce`). Of one sender, those that left are a finding of their own.
    pub dropped: bool,
}

/// Which way packets went, as the interface has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// They left by it.
    Out,
    /// They arrived by it.
    In,
}

impl Direction {
    /// The way that packets of this kind of finding go.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::IngressEscape => Self::In,
            Kind::DeviceEscape
            | Kind::AddressEscape
            | Kind::CopyEscape
            | Kind::PolicyEscape
            | Kind::Unpinned
            | Kind::CrossedBind
            | Kind::Unaudited => Self::Out,
        }
    }
}

/// The process that owns a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its name, as `/proc/PID/comm` says it.
    pub comm: String,
    /// Its executable.
    pub exe: Option<String>,
    /// Its user.
    pub uid: u32,
    /// Its cgroup, from the root of the v2 hierarchy.
    pub cgroup: Option<String>,
}

/// The totals at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Summary {
    /// How long packets were judged, in seconds.
    pub duration_s: f64,
    /// How many packets left by the audited interfaces. One that passed several on top of each other counts once.
    pub packets: u64,
    /// How many bytes these had, with the link header of the first interface.
    pub bytes: u64,
    /// How many packets were dropped, and did not leave (`--enforce`).
    pub dropped: u64,
    /// Who sent how much by which interface.
    pub matrix: Vec<Cell>,
    /// How many findings there are.
    pub findings: u64,
    /// What could not be counted or shown, by the place that lost it; empty when nothing was lost.
    pub uncounted: BTreeMap<String, u64>,
}

/// A cell of the matrix: what senders of one intent sent by one interface with one verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cell {
    /// The network namespace of the egress interface.
    pub netns: String,
    /// The interface that the senders are bound to; null for unpinned sockets and for what no socket sent. Of a copy, the
    /// device of the socket that it is a copy of.
    pub bound_device: Option<String>,
    /// Where the packets left, or would have left, had they not been dropped.
    pub egress_interface: String,
    /// How many packets.
    pub packets: u64,
    /// How many bytes.
    pub bytes: u64,
    /// `contained`, or a finding's kind.
    #[serde(serialize_with = "verdict_name")]
    #[schemars(schema_with = "verdict_schema")]
    pub verdict: Option<Kind>,
    /// Who sent them.
    pub origin: Origin,
    /// They have left by an interface above this one before, which it carries: a VLAN's trunk, a bond's or bridge's port, a
    /// tunnel's underlay. The summary's own `packets` and `bytes` leave them out, so that each packet is counted once.
    pub carried: bool,
    /// They were dropped, and did not leave. The summary's `packets` and `bytes` leave them out, its `dropped` counts them.
    pub dropped: bool,
}

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A socket that a process owns.
    Socket,
    /// The kernel itself: RST, ICMP, neighbour discovery.
    Kernel,
    /// No socket: forwarded, or a copy.
    None,
}

/// How grave a kind is by itself. An `address-escape` is a leak where the address's zone is contained, so that a
/// finding's own severity says more.
pub const fn usual_severity(kind: Kind) -> Severity {
    match kind {
        Kind::DeviceEscape | Kind::CopyEscape | Kind::PolicyEscape | Kind::IngressEscape => {
            Severity::Leak
        }
        Kind::AddressEscape | Kind::Unpinned | Kind::Unaudited => Severity::Risk,
        Kind::CrossedBind => Severity::Note,
    }
}

/// The name of a cell's verdict when nothing is wrong.
pub const CONTAINED: &str = "contained";

/// What a finding's `id` says: the low 48 bits of a hash of the finding's key, as twelve hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(pub u64);

impl FindingId {
    /// The identity that comes of a key's bytes.
    pub fn of(key: &[u8]) -> Self {
        Self(fnv1a(key.iter().copied()))
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0 & 0xffff_ffff_ffff)
    }
}

/// A moment as a finding's `time` says it. What lies outside the years −9999 to 9999 is the nearest that fits.
pub fn time_text(time: SystemTime) -> String {
    let timestamp = jiff::Timestamp::try_from(time).unwrap_or(if time < SystemTime::UNIX_EPOCH {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    });
    format!("{timestamp:.6}")
}

/// An address as `source` and `destination` say it.
pub fn endpoint_text(address: IpAddr, port: Option<u16>) -> String {
    match port {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    }
}

/// A protocol as `protocol` says it, from its number (IANA's registry; `/etc/protocols`).
pub fn protocol_text(number: u8) -> String {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        132 => "sctp",
        136 => "udplite",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// The JSON Schema of all lines, as `docs/schema/pinif-audit.schema.json` has it.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Line<'static>>()
        .to_value()
}

fn kind_name<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(kind.name())
}

fn verdict_name<S: Serializer>(verdict: &Option<Kind>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(verdict.map_or(CONTAINED, Kind::name))
}

fn severity_name<S: Serializer>(severity: &Severity, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(severity.name())
}

fn kind_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Kind::ALL.map(Kind::name) })
}

fn verdict_schema(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = std::iter::once(CONTAINED)
        .chain(Kind::ALL.map(Kind::name))
        .collect();
    json_schema!({ "type": "string", "enum": names })
}

/// All severities, the gravest first.
const SEVERITIES: [Severity; 3] = [Severity::Leak, Severity::Risk, Severity::Note];

fn severity_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": SEVERITIES.map(Severity::name) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_id_is_twelve_digits_and_depends_on_every_byte() {
        assert_eq!(FindingId(0).to_string(), "000000000000");
        assert_eq!(FindingId(u64::MAX).to_string(), "ffffffffffff");
        assert_ne!(FindingId::of(&[1, 0]), FindingId::of(&[0, 1]));
        assert_ne!(FindingId::of(&[0]), FindingId::of(&[0, 0]));
    }

    #[test]
    fn time_has_microseconds_and_never_fails() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_001_999);
        assert_eq!(time_text(time), "2023-11-14T22:13:20.000001Z");
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
        assert!(time_text(far).starts_with("9999-"), "{}", time_text(far));
    }

    #[test]
    fn endpoints_have_a_port_only_where_there_is_one() {
        let v6: IpAddr = "fd00::1".parse().expect("an address");
        assert_eq!(
            endpoint_text(IpAddr::from([10, 0, 0, 1]), Some(40000)),
            "10.0.0.1:40000"
        );
        assert_eq!(endpoint_text(v6, Some(40000)), "[fd00::1]:40000");
        assert_eq!(endpoint_text(v6, None), "fd00::1");
        assert_eq!(
            (protocol_text(17), protocol_text(253)),
            ("udp".to_owned(), "253".to_owned())
        );
    }
}
