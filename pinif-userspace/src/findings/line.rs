//! A line of JSON: the one type that pinif writes and that `pinif explain`, tests and clients read.
//!
//! Names and order of the fields are a contract with scripts; `docs/schema/pinif-audit.schema.json` is made from these
//! types.

mod related;
mod subject;

use std::borrow::Cow;

use pinif_ebpf::verdict::{Kind, Severity};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

pub use self::{related::RelatedLine, subject::Subject};

use super::{
    accepted::Accepted,
    alert_state::AlertState,
    explain::{self, Step},
    finding::{Finding, PacketDirection, SentBy},
    latent::Latent,
    names,
    process::Process,
    ready::Ready,
    samples::Samples,
    summary::Summary,
};

/// One line that `pinif audit --format json` prints. `type` says which: `ready` once, each `finding` as often as its counts grow, at most
/// once a second, also before `ready` where many interfaces are attached, and `summary` last. `lost` stands where lines are missing. More fields and types may
/// come; readers ignore those they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(title = "A line of pinif audit --format json")]
pub enum Line<'a> {
    /// All programs are attached: from here on, every packet is judged.
    Ready(Cow<'a, Ready>),
    /// A finding at its first sighting, and again with the same `id` when its counts have grown or more is known of it.
    Finding(Box<FindingLine>),
    /// The audit has ended: exact totals.
    Summary(Cow<'a, Summary>),
    /// Something cannot be counted or shown: when the first is lost, within two seconds, and again as the number grows.
    Uncounted(Uncounted),
    /// Lines are missing here that could not be written, as on a full disk.
    Lost(Lost),
    /// A line of a type that this version does not know: it is only read.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// What could not be counted or shown so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Uncounted {
    /// The place that lost it, as in the summary's `uncounted`.
    pub reason: String,
    /// How much it has lost, in all.
    pub number: u64,
}

/// Lines that could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// How many.
    pub lines: u64,
}

/// A finding as a line reports it: one kind, of one subject, with one bound device, egress interface and rule. One that is
/// foreseen (`--foresee`) has not happened: its `severity` is `risk`, its `packets` and `bytes` are 0, and `cause` is the route
/// that the packets would take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingLine {
    /// The same for all lines of one finding, and for no other finding of this run.
    #[schemars(regex(pattern = "^[0-9a-f]{12}$"))]
    pub id: String,
    /// When the first packet was seen, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// What is wrong.
    #[serde(with = "names::kind_name")]
    #[schemars(schema_with = "names::kind_schema")]
    pub kind: Kind,
    /// How grave it is: `leak`, it left where it must not; `risk`, it used an allowed interface, but only because of the current
    /// route; `note`, it is odd.
    #[serde(with = "names::severity_name")]
    #[schemars(schema_with = "names::severity_schema")]
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
    #[serde(default)]
    pub direction: PacketDirection,
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
    /// `ingress-escape`, the one that receives it.
    pub process: Option<Process>,
    /// Why it left there, as far as this machine shows; several causes are joined with `; `.
    pub cause: String,
    /// What happened, in a sentence or two.
    pub explanation: String,
    /// What fixes it: the texts of `remedies`, joined with `, or `.
    pub remedy: String,
    /// What fixes it, each by itself, in the order of who can do it: an operator, then a developer.
    #[serde(default)]
    pub remedies: Vec<Step>,
    /// The other kinds that hold for the same packets, each with the policy's rule that it breaks.
    #[serde(default)]
    pub also: Vec<Also>,
    /// Who is at fault; null of what is foreseen, of an `unaudited` that no program causes, and of `arp-flux`.
    pub subject: Option<Subject>,
    /// What it has seen: `processes`, `sockets` and `destinations`.
    #[serde(flatten)]
    pub samples: Samples,
    /// Who sent it; of `ingress-escape`, who receives it: `kernel` where no socket can be looked up (all but TCP and UDP), `none`
    /// where no socket receives it.
    pub origin: SentBy,
    /// The packets were dropped, and did not leave, or did not come in (`--enforce`). Of one sender, those that left are a finding of their own.
    #[serde(default)]
    pub dropped: bool,
    /// The boot's UUID and `id`, with a `/` between them: no other finding of any machine or boot has the same. Null of what is
    /// foreseen, whose `id` is of one run.
    #[serde(default)]
    pub uid: Option<String>,
    /// It grows with each line of the finding, by more than one where lines were put together, and goes on to grow in the runs of
    /// pinif after this one until the machine is rebooted.
    #[serde(default)]
    pub revision: u64,
    /// Whether somebody is to look at it now: `open`; `quiet`, no packet of it was seen for a time (`--quiet-after`); `accepted`, an
    /// `[[accept]]` of the policy names it. A finding that grows again is `open` again. `unaudited` is never `quiet`, since its packets
    /// are not seen.
    #[serde(default)]
    pub state: AlertState,
    /// What the policy's `[[accept]]` says of it; null where none names it.
    #[serde(default)]
    pub accepted: Option<Accepted>,
    /// When the first packet was seen, as `time`.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub first_seen: String,
    /// When its counts were last found to have grown, in UTC (RFC 3339) with microseconds: at most a second after its last packet.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub last_seen: String,
    /// The other packets of the same connections, which would be findings of their own: what answers these, or what these answer.
    #[serde(default)]
    pub related: Vec<RelatedLine>,
    /// The id of the finding that names these packets by now: this one is none any more. Only of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// It is foreseen; only of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latent: Option<bool>,
    /// What would have to happen: `fab0 down`; only of what is foreseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#if: Option<String>,
}

/// A further kind that holds for a finding's packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Also {
    /// The kind.
    #[serde(with = "names::kind_name")]
    #[schemars(schema_with = "names::kind_schema")]
    pub kind: Kind,
    /// The policy's rule that it breaks; null of kinds that are about no rule.
    pub rule: Option<String>,
}

impl From<&Finding> for FindingLine {
    fn from(finding: &Finding) -> Self {
        let text = |text: &str| text.to_owned();
        let process = finding.process.as_deref();
        let samples = finding.samples.as_deref();
        Self {
            id: finding.id.to_string(),
            time: finding.first_seen.to_string(),
            kind: finding.kind,
            severity: finding.severity,
            rule: finding.rule().map(text),
            netns: text(finding.netns()),
            bound_device: finding.bound_device().map(text),
            bound_address: finding.bound_address.map(|address| address.to_string()),
            egress_interface: text(finding.egress_interface()),
            direction: PacketDirection::of(finding.kind),
            protocol: finding.protocol(),
            source: finding.source(),
            destination: finding.destination(),
            packets: finding.packets,
            bytes: finding.bytes,
            socket_cookie: finding.socket.map(|cookie| cookie.0),
            process: process.map(|process| Process {
                started: None,
                ..process.clone()
            }),
            cause: explain::cause(finding),
            explanation: explain::explanation(finding),
            remedy: explain::remedy(finding),
            remedies: explain::steps(finding),
            also: finding
                .also
                .iter()
                .map(|kind| Also {
                    kind,
                    rule: finding.rule_of(kind).map(text),
                })
                .collect(),
            subject: finding.subject.as_deref().map(Subject::from),
            samples: samples.cloned().unwrap_or_default(),
            origin: finding.origin,
            dropped: finding.dropped,
            uid: finding.uid(),
            revision: finding.revision.into(),
            state: finding.state,
            accepted: finding.accepted.as_deref().cloned(),
            first_seen: finding.first_seen.to_string(),
            last_seen: finding.last_seen.to_string(),
            related: finding.related().iter().map(RelatedLine::from).collect(),
            part_of: finding.part_of().map(|whole| whole.to_string()),
            latent: None,
            r#if: None,
        }
    }
}

impl From<&Latent> for FindingLine {
    fn from(latent: &Latent) -> Self {
        Self {
            destination: latent.destination(),
            explanation: explain::foreseen::explanation(latent),
            remedy: explain::foreseen::remedy(latent),
            remedies: explain::foreseen::steps(latent),
            latent: Some(true),
            r#if: Some(latent.condition.clone()),
            ..Self::from(&latent.finding)
        }
    }
}

impl FindingLine {
    /// Reads a line of `pinif audit` or `pinif foresee`; nothing, if it is of another type.
    ///
    /// # Errors
    ///
    /// If it is no such line.
    pub fn read(line: &str) -> serde_json::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Typed<'a> {
            #[serde(borrow)]
            r#type: Cow<'a, str>,
        }
        let typed: Typed<'_> = serde_json::from_str(line)?;
        match &*typed.r#type {
            "finding" => serde_json::from_str(line).map(Some),
            _ => Ok(None),
        }
    }
}

/// The JSON Schema of all lines, as `docs/schema/pinif-audit.schema.json` has it.
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Line<'static>>();
    schema.insert("version".to_owned(), 1.into());
    schema.to_value()
}

#[cfg(test)]
mod tests;
