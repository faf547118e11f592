//! Whether what arrived where it should not was given to its socket, or dropped behind TC ingress.

use std::collections::HashMap;

use pinif_ebpf::{
    sighting::{FindingKey, FindingValue},
    verdict::{Direction, Kind},
};

/// What was known of deliveries when the counters were read last, of each finding of what arrived.
#[derive(Debug, Default)]
pub(super) struct Deliveries(HashMap<FindingKey, u32>);

impl Deliveries {
    /// Takes what is known now: whether a packet was given to its socket since the last time.
    pub(super) fn grew(&mut self, key: &FindingKey, delivered: u32) -> bool {
        delivered != 0 && self.0.insert(*key, delivered) != Some(delivered)
    }
}

/// Whether a finding is of what arrived, and no packet of it was given to its socket so far.
pub(super) fn is_undelivered(key: &FindingKey, value: &FindingValue) -> bool {
    has_arrived(key) && value.delivered == 0
}

/// Whether a finding is of what arrived.
pub(super) fn has_arrived(key: &FindingKey) -> bool {
    let kind = Kind::from_number(key.kind);
    kind.is_some_and(|kind| kind.row().direction == Direction::Ingress)
}
