//! The first packets of each finding, as the programs give them to userspace, which writes them to a file.

use crate::{
    intent::Name,
    sighting::{FindingKey, Origin},
};

/// How many packets of a finding may be captured, at most.
pub const MOST_PACKETS: u32 = COUNT;
/// How many bytes of a packet may be, at most.
pub const MOST_BYTES: u32 = 65_535;
/// The greatest number of a run ([`Progress`]); zero is none.
pub const MOST_RUN: u32 = u32::MAX >> COUNT_BITS;

/// The bits of [`Progress`] that count.
const COUNT_BITS: u32 = 8;
const COUNT: u32 = (1 << COUNT_BITS) - 1;

/// How many of a finding's packets were captured, and in which run of the auditor: another run captures anew. It is a word of the
/// finding's entry, which stays over runs (`--persist`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress(pub u32);

impl Progress {
    /// What is so when one more was captured in this run; none where these are as many as are wanted.
    #[inline(always)]
    pub const fn next(self, run: u32, most: u32) -> Option<Self> {
        let captured = if self.0 >> COUNT_BITS == run {
            self.number()
        } else {
            0
        };
        if captured >= most {
            return None;
        }
        Some(Self(run << COUNT_BITS | (captured + 1)))
    }

    /// How many were captured: the number of the last of them.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0 & COUNT
    }
}

/// What comes before a packet's bytes in a record of the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The finding.
    pub key: FindingKey,
    /// When, in nanoseconds of `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`).
    pub time: u64,
    /// The name of the process that sent it, or is to receive it: untrusted bytes, ended by a zero.
    pub comm: Name,
    /// The process's number, as of [`crate::intent::Owner::pid`].
    pub pid: u32,
    /// How long it is, in bytes from where its bytes here begin. What is to be divided into segments (GSO) is as long as all of them.
    pub length: u32,
    /// How many bytes of it follow.
    pub taken: u32,
    /// [`flag`]s.
    pub flags: u32,
    /// The tag of a VLAN that is not among its bytes but beside them (`skb->vlan_tci`).
    pub tag: u16,
    /// The tag's ethertype, in host byte order; zero where there is no tag.
    pub tag_type: u16,
    /// The [`Origin`].
    pub origin: u8,
    /// Which of the finding's packets it is, from one on.
    pub number: u8,
    /// Zero.
    pub _pad: [u8; 2],
}

/// [`Captured::flags`].
pub mod flag {
    /// It begins with its Ethernet header. Otherwise it begins with its IP header.
    pub const ETHERNET: u32 = 1 << 0;
    /// It arrives. Otherwise it leaves.
    pub const ARRIVES: u32 = 1 << 1;
}

impl Captured {
    /// Whether a flag is set.
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Who sent it.
    pub const fn sent_by(&self) -> Origin {
        Origin::from_number(self.origin)
    }
}

const _: () = assert!(size_of::<Captured>() == 104);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    unsafe impl aya::Pod for super::Captured {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_captures_as_many_as_are_wanted() {
        let mut progress = Progress(0);
        for run in [1, 7, MOST_RUN] {
            let mut numbers = Vec::new();
            while let Some(next) = progress.next(run, 3) {
                numbers.push(next.number());
                progress = next;
            }
            assert_eq!(numbers, [1, 2, 3], "{run}");
        }
        let all = (0..).scan(Progress(0), |progress, _| {
            *progress = progress.next(1, MOST_PACKETS)?;
            Some(progress.number())
        });
        assert_eq!(all.max(), Some(MOST_PACKETS));
    }
}
