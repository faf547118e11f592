//! What userspace is woken up for while it reads nothing on time.

/// Who sleeps. The number is its index in the kernel's `ASLEEP` map.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sleeper {
    /// Whoever reads the counters: a known finding has grown, or something was lost.
    Counters = 0,
    /// Whoever looks at what is attached: bpf(2) has changed what is attached somewhere, or a table of programs.
    Attachments = 1,
    /// Whoever looks for sockets that send past TC egress: one may be about to.
    Bypasses = 2,
}

impl Sleeper {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Counters, Self::Attachments, Self::Bypasses];

    /// That of a number; none, where nobody has it.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|one| *one as u32 == number)
    }
}

/// What userspace writes into the kernel's `ASLEEP` map; zero is that nobody sleeps.
pub mod asleep {
    /// A record is wanted when something happens.
    pub const SLEEPS: u32 = 1;
    /// No record, but a zero: userspace makes something happen, and looks whether that is noticed.
    pub const TRIES: u32 = 2;
}

/// A record of the ring buffer: somebody who sleeps is to wake up. There is one until they sleep again, however much happens.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WakeUp {
    /// When it happened, in nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// The number of the [`Sleeper`].
    pub sleeper: u32,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<WakeUp>() == 16);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    unsafe impl aya::Pod for super::WakeUp {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_indexes() {
        for (index, sleeper) in Sleeper::ALL.into_iter().enumerate() {
            assert_eq!(sleeper as usize, index);
            assert_eq!(Sleeper::of(index as u32), Some(sleeper));
        }
        assert_eq!(Sleeper::of(Sleeper::ALL.len() as u32), None);
    }
}
