//! A finding, as facts. `line.rs` writes it as JSON.
//!
//! Texts are as the kernel and the processes wrote them: each surface escapes them for where it writes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use pinif_ebpf::{
    key::SocketCookie,
    verdict::{self, Kind, KindSet, Severity},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    accepted::Accepted,
    alert_state::AlertState,
    explain::{Cause, CauseKind, Route},
    flow::{Flow, protocol_name, protocol_text},
    process::Process,
    related::{Connection, Related},
    samples::Samples,
    subject::Subject,
    wall_time::WallTime,
    ways::Ways,
};
use crate::host::namespaces::Enter;

pub use super::id::FindingId;

/// What a finding's `egress_interface` says where it may be any of the namespace's.
pub const ANY_INTERFACE: &str = "*";

/// One thing to fix, as facts: one kind, of one subject, with one bound device, egress interface and rule. Whoever shows it
/// makes the words ([`super::explain`]).
///
/// What many findings have in equal is shared by them ([`super::shared::Shared`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The same for as long as the finding exists, and no other finding's of this run.
    pub id: FindingId,
    /// Which report of it this is: it grows with each, and goes on to grow in the runs after this one.
    pub revision: u32,
    /// Whether somebody is to look at it now.
    pub state: AlertState,
    /// That the policy accepts it, or did.
    pub accepted: Option<Arc<Accepted>>,
    /// When the first packet was seen.
    pub first_seen: WallTime,
    /// When its counters were last found to have grown, which is read once a second.
    pub last_seen: WallTime,
    /// What is wrong.
    pub kind: Kind,
    /// The other kinds that hold for the same packets, less grave or later in the table.
    pub also: KindSet,
    /// How grave it is.
    pub severity: Severity,
    /// Who sent it; of `ingress-escape`, who receives it.
    pub origin: SentBy,
    /// The packets were dropped, and did not leave, or did not come in.
    pub dropped: bool,
    /// Where it was found, and by which rule.
    pub place: Arc<Place>,
    /// Why it left there, the first in the chain of events first.
    pub causes: Arc<[Cause]>,
    /// What routing offered the first packet beside the way that it took.
    pub ways: Arc<Ways>,
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
    /// Who is at fault; none of what is foreseen, of an `unaudited` that no program causes, and of `arp-flux`.
    pub subject: Option<Arc<Subject>>,
    /// What it has seen, where that is known to whoever holds the finding.
    pub samples: Option<Arc<Samples>>,
    /// How it stands to others of the same connections, where that is known to whoever holds the finding.
    pub connection: Option<Arc<Connection>>,
}

impl Finding {
    /// A finding of which nothing else is known: no packet, no socket.
    pub fn new(id: FindingId, kind: Kind, place: Arc<Place>, first_seen: SystemTime) -> Self {
        Self {
            id,
            revision: 0,
            state: AlertState::default(),
            accepted: None,
            first_seen: first_seen.into(),
            last_seen: first_seen.into(),
            kind,
            also: KindSet::default(),
            severity: kind.row().severity,
            origin: SentBy::Socket,
            dropped: false,
            place,
            causes: Arc::new([]),
            ways: Arc::default(),
            flow: None,
            bound_address: None,
            packets: 0,
            bytes: 0,
            socket: None,
            process: None,
            subject: None,
            samples: None,
            connection: None,
        }
    }

    /// The route that led its first packet out, where that is named.
    pub fn route_taken(&self) -> Option<&Route> {
        self.causes.iter().find_map(|cause| match &cause.kind {
            CauseKind::Route(route) => Some(route),
            _ => None,
        })
    }

    /// The route that led the first packet out, of the kinds whose remedy may be a route: what led the other destinations out that the
    /// finding has seen is asked of routing as well.
    pub fn route_asked_of_others(&self) -> Option<&Route> {
        let is_routed = matches!(self.kind, Kind::PolicyEscape | Kind::AddressEscape);
        let may_be = is_routed && self.origin == SentBy::Socket && self.flow.is_some();
        self.route_taken().filter(|_| may_be)
    }

    /// Whether its program may have named the interface, of what it sends to a group and a route leads there as well: nothing says which of
    /// both it was.
    pub fn may_be_named(&self) -> bool {
        let is_likely = |cause: &Cause| !cause.certain && matches!(cause.kind, CauseKind::Route(_));
        let to_group = |flow: Flow| flow.destination.address.is_multicast();
        self.origin == SentBy::Socket
            && self.flow.is_some_and(to_group)
            && self.causes.iter().any(is_likely)
    }

    /// What distinguishes it from the findings of all machines and boots: the boot's UUID and its id. None where the boot is not
    /// known.
    pub fn uid(&self) -> Option<String> {
        let boot = self.place.boot.as_deref()?;
        Some(format!("{boot}/{}", self.id))
    }

    /// Whether the first that was seen of it is a group that the process was to join, and was refused.
    pub fn begins_with_join(&self) -> bool {
        let is_join = |cause: &Cause| matches!(cause.kind, CauseKind::GroupJoin { .. });
        self.causes.iter().any(is_join)
    }

    /// Whether there was nothing else: such a group is no packet.
    pub fn has_no_packet(&self) -> bool {
        self.packets == 0 && self.begins_with_join()
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
        self.rule_of(self.kind)
    }

    /// The rule that a kind breaks which holds for its packets.
    pub fn rule_of(&self, kind: Kind) -> Option<&str> {
        let rule = self.place.rule.as_ref()?;
        let name = rule.name.as_deref();
        name.filter(|_| kind.row().is_of_rule)
    }

    /// The protocol's name, or its number, as a line has it: `udp`.
    pub fn protocol(&self) -> String {
        self.flow
            .map_or_else(String::new, |flow| protocol_text(flow.protocol))
    }

    /// The protocol as people write it: `UDP`.
    pub fn protocol_name(&self) -> String {
        protocol_name(&self.protocol())
    }

    /// The first packet's source: `10.0.0.1:40000`, `[fd00::1]:40000`, or the address alone where there is no port.
    pub fn source(&self) -> String {
        self.flow
            .map_or_else(String::new, |flow| flow.source.to_string())
    }

    /// The other packets of its connections that are named in it.
    pub fn related(&self) -> &[Related] {
        match self.connection.as_deref() {
            Some(Connection::Has(related)) => related,
            Some(Connection::PartOf(_)) | None => &[],
        }
    }

    /// The finding that it is named in, if it is none of its own any more.
    pub fn part_of(&self) -> Option<FindingId> {
        match self.connection.as_deref() {
            Some(Connection::PartOf(whole)) => Some(*whole),
            Some(Connection::Has(_)) | None => None,
        }
    }

    /// What another finding says of its packets.
    pub fn as_related(&self) -> Related {
        let rule = self.rule().and(self.place.rule.as_ref());
        Related {
            id: self.id,
            kind: self.kind,
            severity: self.severity,
            rule: rule.and_then(|rule| rule.name.clone()),
            interface: match &self.place.interface {
                Some(interface) => Arc::clone(interface),
                None => ANY_INTERFACE.into(),
            },
            bound_device: self.place.bound_device.clone(),
            owner: self.place.source_owner.clone(),
            flow: self.flow,
            subject: self.subject.clone(),
            packets: self.packets,
            bytes: self.bytes,
        }
    }

    /// The first packet's destination, written likewise.
    pub fn destination(&self) -> String {
        self.flow
            .map_or_else(String::new, |flow| flow.destination.to_string())
    }
}

/// Where something was found, and what of the policy it concerns: equal for many findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The boot of the machine, by its UUID, where that is known.
    pub boot: Option<Arc<str>>,
    /// The name of the network namespace.
    pub netns: Arc<str>,
    /// What leads a shell to it that stands where pinif runs.
    pub enter: Enter,
    /// The interface where the packets left or arrived; none, if it may be any.
    pub interface: Option<Arc<str>>,
    /// The interface that the socket is bound to; of a copy, the one that its original's is bound to.
    pub bound_device: Option<Arc<str>>,
    /// The one interface that has the source address; of what arrived, the destination address.
    pub source_owner: Option<Arc<str>>,
    /// The contained zone that this concerns.
    pub contained_zone: Option<Arc<str>>,
    /// The interface in that zone: `source_owner`; of an answer, the one of the two interfaces that is in it.
    pub contained_interface: Option<Arc<str>>,
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
    /// It says `action = "alert"`: what breaks it alone is not dropped while the policy is enforced.
    pub alerts: bool,
}

/// Whether packets left or arrived.
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
#[schemars(rename = "Direction")]
pub enum PacketDirection {
    /// They left by it.
    #[default]
    Out,
    /// They arrived by it.
    In,
}

impl PacketDirection {
    /// The direction of a kind's packets; those that cannot be seen count as leaving.
    pub fn of(kind: Kind) -> Self {
        match kind.row().direction {
            verdict::Direction::Ingress => Self::In,
            verdict::Direction::Egress | verdict::Direction::Unseen => Self::Out,
        }
    }

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

/// Who sent a packet.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Origin")]
pub enum SentBy {
    /// A socket that a process owns.
    Socket,
    /// The kernel itself: RST, ICMP, neighbour discovery.
    Kernel,
    /// No socket: forwarded, or a copy.
    None,
}

#[cfg(test)]
mod tests;
