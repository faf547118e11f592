//! A captured packet, and what is said of it.

use std::time::SystemTime;

use pinif_ebpf::verdict::{Kind, Severity};

use crate::findings::finding::FindingId;

/// A captured packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it was captured.
    pub place: Place,
    /// When.
    pub time: SystemTime,
    /// How long it was, in bytes.
    pub length: u32,
    /// Its beginning.
    pub bytes: Vec<u8>,
    /// What is said of it.
    pub about: About,
}

/// Where a packet was captured: each has a block of its own in the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The interface.
    pub interface: String,
    /// The name of its network namespace.
    pub netns: String,
    /// Whether packets begin with an Ethernet header; otherwise they begin with their IP header.
    pub ethernet: bool,
}

/// What is said of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The finding that it is of.
    pub finding: FindingId,
    /// The finding's kind.
    pub kind: Kind,
    /// The finding's severity.
    pub severity: Severity,
    /// Whether it arrived; otherwise it left, or was about to.
    pub arrived: bool,
    /// Whether it was dropped.
    pub dropped: bool,
    /// The device that its socket is bound to.
    pub bound: Option<String>,
    /// The rule that it breaks.
    pub rule: Option<String>,
    /// The process that sent it, or that was to receive it, as far as it is known: name and number.
    pub process: Option<(String, Option<u32>)>,
    /// Which of the finding's packets it is, from one on.
    pub number: u8,
}
