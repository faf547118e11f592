//! What belongs to a finding beside its own packets: those of the same connections that would be findings of their own.

use std::sync::Arc;

use pinif_ebpf::verdict::{Kind, Severity};

use super::{flow::Flow, id::FindingId, subject::Subject};

/// How a finding stands to others of the same connections. One mistake is one finding: what answers its packets is named in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The finding has these as well.
    Has(Vec<Related>),
    /// It is no finding of its own any more: it is named in this one.
    PartOf(FindingId),
}

/// Packets of a finding's connections that would be another finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// The id that it has, or would have.
    pub id: FindingId,
    /// What is wrong with them.
    pub kind: Kind,
    /// How grave that is: never graver than the finding.
    pub severity: Severity,
    /// The rule that they break.
    pub rule: Option<Arc<str>>,
    /// The interface where they left or arrived.
    pub interface: Arc<str>,
    /// The interface that their socket is bound to.
    pub bound_device: Option<Arc<str>>,
    /// The interface that alone has their local address.
    pub owner: Option<Arc<str>>,
    /// The first packet's headers.
    pub flow: Option<Flow>,
    /// Who sent them; of what arrived, who receives them.
    pub subject: Option<Arc<Subject>>,
    /// How many, exactly.
    pub packets: u64,
    /// How many bytes these had, with the link header.
    pub bytes: u64,
}
