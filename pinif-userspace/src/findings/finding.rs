//! What pinif reports: its findings, and the totals at the end. `line.rs` writes them as JSON.
//!
//! Texts are as the kernel and the processes wrote them: each surface escapes them for where it writes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use pinif_ebpf::{
    key::SocketCookie,
    verdict::{self, Kind, KindSet, Severity},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{explain::Cause, gaps::ANY_INTERFACE, line, samples::Samples, subject::Subject};
use crate::text::hash::fnv1a;

/// What is audited, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    #[serde(default)]
    pub enforce: bool,
    /// The version of pinif.
    pub version: String,
}

/// How the programs hang on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// One thing to fix, as facts: one kind, of one subject, with one bound device, egress interface and rule. Whoever shows it
/// makes the words ([`super::explain`]).
///
/// What many findings have in equal is shared by them ([`super::shared::Shared`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The same for as long as the finding lives, and no other finding's of this run.
    pub id: FindingId,
    /// When the first packet was seen.
    pub first_seen: SystemTime,
    /// What is wrong.
    pub kind: Kind,
    /// The other kinds that hold for the same packets, less grave or later in the table.
    pub also: KindSet,
    /// How grave it is.
    pub severity: Severity,
    /// Who sent it; of `ingress-escape`, who receives it.
    pub origin: Origin,
    /// The packets were dropped, and did not leave.
    pub dropped: bool,
    /// Where it was found, and by which rule.
    pub place: Arc<Place>,
    /// Why it left there, the first in the chain of events first.
    pub causes: Arc<[Cause]>,
    /// The headers of the first packet; none where there is no IP packet.
    pub flow: Option<Flow>,
    /// The address that the socket is bound to (`bind()`).
    pub bound_address: Option<IpAddr>,
    /// How many packets so far, as they are on the wire: a GSO packet counts as its segments.
    pub packets: u64,
    /// How many bytes these had, with the link header.
    pub bytes: u64,
    /// The first packet's socket.
    pub socket: Option<SocketCookie>,
    /// The process that owns the first packet's socket, where it is known.
    pub process: Option<Arc<Process>>,
    /// Who is at fault; nobody of what is foreseen, and of an `unaudited` that no program causes.
    pub subject: Option<Arc<Subject>>,
    /// What it has seen, where that is known to whoever holds the finding.
    pub samples: Option<Arc<Samples>>,
}

impl Finding {
    /// A finding of which nothing else is known: no packet, no socket.
    pub fn new(id: FindingId, kind: Kind, place: Arc<Place>, first_seen: SystemTime) -> Self {
        Self {
            id,
            first_seen,
            kind,
            also: KindSet::default(),
            severity: kind.row().severity,
            origin: Origin::Socket,
            dropped: false,
            place,
            causes: Arc::new([]),
            flow: None,
            bound_address: None,
            packets: 0,
            bytes: 0,
            socket: None,
            process: None,
            subject: None,
            samples: None,
        }
    }

    /// The name of the network namespace.
    pub fn netns(&self) -> &str {
        &self.place.netns
    }

    /// Where the packets left, or would have left; of `ingress-escape`, where they arrived. [`ANY_INTERFACE`] of a gap that
    /// any interface may have.
    pub fn egress_interface(&self) -> &str {
        self.place.interface.as_deref().unwrap_or(ANY_INTERFACE)
    }

    /// The interface that the socket is bound to; of a copy, the one that its original's is bound to.
    pub fn bound_device(&self) -> Option<&str> {
        self.place.bound_device.as_deref()
    }

    /// The rule that it breaks.
    pub fn rule(&self) -> Option<&str> {
        let rule = self.place.rule.as_ref()?;
        let name = rule.name.as_deref();
        name.filter(|_| self.kind.row().is_of_rule)
    }

    /// The protocol's name, or its number.
    pub fn protocol(&self) -> String {
        self.flow
            .map_or_else(String::new, |flow| protocol_text(flow.protocol))
    }

    /// The first packet's source: `10.0.0.1:40000`, `[fd00::1]:40000`, or the address alone where there is no port.
    pub fn source(&self) -> String {
        self.flow
            .map_or_else(String::new, |flow| flow.source.to_string())
    }

    /// The first packet's destination, written likewise.
    pub fn destination(&self) -> String {
        self.flow
            .map_or_else(String::new, |flow| flow.destination.to_string())
    }

    /// When it was first seen, in UTC (RFC 3339) with microseconds.
    pub fn time(&self) -> String {
        time_text(self.first_seen)
    }
}

/// Where something was found, and what of the policy it concerns: equal for many findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The name of the network namespace.
    pub netns: Arc<str>,
    /// The interface where the packets left or arrived; none, if it may be any.
    pub interface: Option<Arc<str>>,
    /// The interface that the socket is bound to; of a copy, the one that its original's is bound to.
    pub bound_device: Option<Arc<str>>,
    /// The one interface that has the source address; of what arrived, the destination address.
    pub source_owner: Option<Arc<str>>,
    /// The contained zone that this concerns: that of `source_owner`.
    pub contained_zone: Option<Arc<str>>,
    /// The rule that decided.
    pub rule: Option<Rule>,
}

/// A rule of the policy, as far as a finding concerns it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Its name; none where only an earlier collector knew the policy.
    pub name: Option<Arc<str>>,
    /// The zones that it allows.
    pub only_via: Vec<Arc<str>>,
    /// The interfaces that these zones had when the packet was seen.
    pub interfaces: Vec<Arc<str>>,
}

/// The headers of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The IP protocol's number.
    pub protocol: u8,
    /// Where it is from.
    pub source: Endpoint,
    /// Where it goes.
    pub destination: Endpoint,
}

/// An address, and the port of protocols that have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: Option<u16>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

/// Which way packets went, as the interface has it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// They left by it.
    #[default]
    Out,
    /// They arrived by it.
    In,
}

impl Direction {
    /// The way that packets of a kind go; those that cannot be seen are taken to leave.
    pub fn of(kind: Kind) -> Self {
        match kind.row().direction {
            verdict::Direction::Ingress => Self::In,
            verdict::Direction::Egress | verdict::Direction::Unseen => Self::Out,
        }
    }
}

/// The process that owns a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// When it was started, in nanoseconds of `CLOCK_BOOTTIME`, where that is known. JSON has no such field.
    #[serde(skip)]
    pub started: Option<u64>,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    #[serde(with = "line::verdict_name")]
    #[schemars(schema_with = "line::verdict_schema")]
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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A socket that a process owns.
    Socket,
    /// The kernel itself: RST, ICMP, neighbour discovery.
    Kernel,
    /// No socket: forwarded, or a copy.
    None,
}

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
    Endpoint { address, port }.to_string()
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

#[cfg(test)]
mod tests;
