//! What happens in an audit, as facts. The words are a surface's.

use std::sync::Arc;

use pinif_ebpf::loss::Loss;

use super::notice::Notice;
use crate::findings::{finding::Finding, latent::Latent, ready::Ready, summary::Summary};

/// One thing that happened. Cheap to clone: each subscriber has one of its own.
#[derive(Clone, Debug)]
pub enum Event {
    /// All programs are attached: from here on, every packet is judged.
    Ready(Arc<Ready>),
    /// A finding, and what is new of it.
    Finding(Arc<Finding>, Change),
    /// What would be a finding if something happened.
    Foreseen(Arc<Latent>),
    /// What is lost for a reason, in all so far: when the first is, and again as it grows, at most once a second.
    Uncounted(Loss, u64),
    /// Something to be known that is no finding.
    Notice(Arc<Notice>),
    /// Nobody reads standard output any more, and the audit goes on.
    ReaderLeft,
    /// The audit has ended, and all findings were published with their last counts.
    Ended(Arc<Summary>),
}

/// What is new of a finding, the least important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Its counts have grown.
    Grew,
    /// More is known of it, such as its process.
    Refined,
    /// Its state is another.
    StateChanged,
    /// It is new.
    Opened,
}
