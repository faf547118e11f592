//! What a line says of the other packets of a finding's connections.

use std::sync::Arc;

use pinif_ebpf::verdict::{Kind, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::subject::Subject;
use crate::{
    findings::{
        finding::PacketDirection,
        flow::{protocol_name, protocol_text},
        kinds, names,
        related::Related,
    },
    text::words::counted,
};

/// Packets of a finding's connections that would be another finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Related")]
pub struct RelatedLine {
    /// The id that they have where they are a finding of their own.
    #[schemars(regex(pattern = "^[0-9a-f]{12}$"))]
    pub id: String,
    /// What is wrong with them.
    #[serde(with = "names::kind_name")]
    #[schemars(schema_with = "names::kind_schema")]
    pub kind: Kind,
    /// How grave that is: never graver than the finding.
    #[serde(with = "names::severity_name")]
    #[schemars(schema_with = "names::severity_schema")]
    pub severity: Severity,
    /// The policy's rule that they break.
    pub rule: Option<String>,
    /// The interface that their socket is bound to.
    pub bound_device: Option<String>,
    /// The interface where they left or arrived: the finding's, but where an answer left by another than it was asked by.
    pub egress_interface: String,
    /// Whether they left or arrived.
    pub direction: PacketDirection,
    /// The protocol of the first of them, as in the finding's `protocol`.
    pub protocol: String,
    /// The first one's source.
    pub source: String,
    /// The first one's destination.
    pub destination: String,
    /// Who sent them; of what arrived, who receives them.
    pub subject: Option<Subject>,
    /// How many so far: they are not among the finding's `packets`.
    pub packets: u64,
    /// How many bytes these had, with the link header.
    pub bytes: u64,
}

impl From<&Related> for RelatedLine {
    fn from(related: &Related) -> Self {
        let text = |text: &Arc<str>| text.to_string();
        let flow = related.flow;
        Self {
            id: related.id.to_string(),
            kind: related.kind,
            severity: related.severity,
            rule: related.rule.as_ref().map(text),
            bound_device: related.bound_device.as_ref().map(text),
            egress_interface: related.interface.to_string(),
            direction: PacketDirection::of(related.kind),
            protocol: flow.map_or_else(String::new, |flow| protocol_text(flow.protocol)),
            source: flow.map_or_else(String::new, |flow| flow.source.to_string()),
            destination: flow.map_or_else(String::new, |flow| flow.destination.to_string()),
            subject: related.subject.as_deref().map(Subject::from),
            packets: related.packets,
            bytes: related.bytes,
        }
    }
}

impl RelatedLine {
    /// In some words: `4 packets arrived on eth1 (ingress-escape), TCP 10.9.0.9:7000 → 192.0.2.1:40000`. Not
    /// safe to show yet.
    pub fn phrase(&self) -> String {
        format!(
            "{} {} {} ({}), {} {} → {}",
            counted(self.packets, "packet"),
            kinds::of(self.kind).does,
            self.egress_interface,
            self.kind.name(),
            protocol_name(&self.protocol),
            self.source,
            self.destination
        )
    }
}
