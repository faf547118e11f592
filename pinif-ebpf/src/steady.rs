//! What a CPU has counted of a flow that leaks and has not added to the flow's finding yet. The entry is this CPU's own: no CPU writes a
//! cache line of another one for a packet.

use crate::{
    sample::MOST,
    sighting::{Count, FindingKey, FindingState, bpf_spin_lock},
};

/// The place of a packet that is counted for no sample: it has none, or the finding had seen as many as it keeps before.
pub const NOWHERE: u32 = MOST as u32;

/// A flow that leaks on one CPU, and what was counted of it there.
///
/// Whoever reads a finding adds to it what each CPU has counted. It reads the finding first: what a CPU moves to the finding
/// meanwhile, it sees at neither place, and at the next reading; so it never sees a packet twice.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SteadyFlow {
    /// Held while another flow is entered, or the count is moved to the finding. Userspace reads under it (`BPF_F_LOCK`).
    pub lock: bpf_spin_lock,
    /// The places of its packets among the finding's samples, by [`crate::sample::Of`]; [`NOWHERE`] where they are in none.
    pub places: [u32; 3],
    /// When the finding's first packet was ([`crate::sighting::Sighting::time`]): distinguishes it from one with the same key that was
    /// removed.
    pub first_seen: u64,
    /// The finding.
    pub key: FindingKey,
    /// Zeros. They are between what is counted and the entry of another CPU, which may begin anywhere in a cache line of 64 bytes.
    pub _before: [u64; 2],
    /// What is not in the finding yet.
    pub count: Count,
    /// Zeros, likewise.
    pub _after: [u64; 10],
}

impl SteadyFlow {
    /// Adds what was counted to its finding; nothing to another one.
    pub fn add_to(&self, key: &FindingKey, state: &mut FindingState) {
        if self.key != *key || self.first_seen != state.sighting.time {
            return;
        }
        state.count += self.count;
        for (list, &place) in state.samples.lists.iter_mut().zip(&self.places) {
            // It may have been entered after the finding was read.
            let sample = list.get_mut(place as usize);
            if let Some(sample) = sample.filter(|sample| sample.key[0] != 0) {
                sample.packets += self.count.packets;
            }
        }
    }
}

const LINE: usize = 64;
const COUNTED: usize = core::mem::offset_of!(SteadyFlow, count);
const _: () = assert!(size_of::<SteadyFlow>() == 192);
const _: () = assert!(COUNTED >= LINE - 8);
const _: () = assert!(size_of::<SteadyFlow>() - COUNTED - size_of::<Count>() >= LINE - 8);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
unsafe impl aya::Pod for SteadyFlow {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::IfIndex, sample::Of};

    fn key(egress: u32) -> FindingKey {
        FindingKey {
            egress: IfIndex(egress),
            ..FindingKey::default()
        }
    }

    /// A finding that has seen a process, and two destinations.
    fn state() -> FindingState {
        let mut state = FindingState::default();
        state.sighting.time = 99;
        state.count = Count {
            packets: 10,
            bytes: 1_000,
        };
        state.samples.lists[Of::Process as usize][0].key[0] = 1;
        state.samples.lists[Of::Destination as usize][0].key[0] = 2;
        state.samples.lists[Of::Destination as usize][1].key[0] = 3;
        state
    }

    fn flow() -> SteadyFlow {
        SteadyFlow {
            places: [0, NOWHERE, 1],
            first_seen: 99,
            key: key(3),
            count: Count {
                packets: 5,
                bytes: 300,
            },
            ..SteadyFlow::default()
        }
    }

    #[test]
    fn what_a_cpu_has_counted_is_added_where_its_packets_belong() {
        let mut read = state();
        flow().add_to(&key(3), &mut read);
        let mut expected = state();
        expected.count = Count {
            packets: 15,
            bytes: 1_300,
        };
        expected.samples.lists[Of::Process as usize][0].packets = 5;
        expected.samples.lists[Of::Destination as usize][1].packets = 5;
        assert_eq!(read, expected);
    }

    #[test]
    fn nothing_is_added_to_another_finding() {
        let mut read = state();
        flow().add_to(&key(4), &mut read);
        assert_eq!(read, state());
        // One with the same key was removed before.
        let earlier = SteadyFlow {
            first_seen: 98,
            ..flow()
        };
        earlier.add_to(&key(3), &mut read);
        assert_eq!(read, state());
    }
}
