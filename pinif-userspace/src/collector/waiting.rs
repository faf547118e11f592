//! First sightings that wait to be reported. A finding takes as long to explain as hundreds of others take to come, and what the ring
//! buffer has no room for comes a second late, from its counter: so the ring is emptied into here after each.

use std::collections::VecDeque;

use pinif_ebpf::sighting::SightingRecord;

use crate::kernel::ring::Ring;

/// How many wait here at most: some megabytes. What comes beyond stays in the ring buffer, and is counted there where that is full.
const MOST: usize = 16_384;
/// How many are reported before whatever else has happened is looked at.
pub(super) const AT_ONCE: usize = 64;

/// Those that wait, the first one first.
#[derive(Default)]
pub(super) struct Waiting(VecDeque<SightingRecord>);

impl Waiting {
    /// Whether none does.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes what was read.
    pub(super) fn add(&mut self, read: impl IntoIterator<Item = SightingRecord>) {
        self.0.extend(read);
    }

    /// The first one, after all that the ring has was taken, as far as there is room.
    pub(super) fn next(&mut self, ring: &mut Ring<SightingRecord>) -> Option<SightingRecord> {
        if self.0.len() < MOST {
            ring.drain(|record| self.0.push_back(record));
        }
        let first = self.0.pop_front();
        if self.0.is_empty() {
            // A flood's room is not kept.
            self.0 = VecDeque::new();
        }
        first
    }
}
