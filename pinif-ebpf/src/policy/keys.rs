//! The keys of the policy's tables.

use super::Slot;
use crate::key::Address;

/// The key of a rule's demand.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DemandKey {
    /// The policy.
    pub slot: Slot,
    /// The rule's number.
    pub rule: u32,
}

/// The data of a prefix in the destination and source tries (`BPF_MAP_TYPE_LPM_TRIE`), most significant first.
/// A prefix of `n` bits of a 128-bit address has the length [`PrefixKey::length`]`(n)`; IPv4 is mapped, so that a `/8`
/// is 104 bits of the address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PrefixKey {
    /// The policy, big-endian.
    pub slot: [u8; 8],
    /// The address.
    pub address: Address,
}

impl PrefixKey {
    /// The key of an address in a policy.
    #[inline(always)]
    pub const fn new(slot: Slot, address: Address) -> Self {
        Self {
            slot: (slot as u64).to_be_bytes(),
            address,
        }
    }

    /// The length in the trie, in bits, of a prefix of `bits` bits of the mapped address.
    #[inline(always)]
    pub const fn length(bits: u8) -> u32 {
        64 + bits as u32
    }
}

/// The data of a range of ports in the port tries: ranges are made of binary prefixes of the port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortKey {
    /// The policy, big-endian.
    pub slot: [u8; 4],
    /// The port, big-endian.
    pub port: [u8; 2],
    /// Zero: keeps the trie's values aligned.
    pub _pad: [u8; 2],
}

impl PortKey {
    /// The key of a port in a policy.
    #[inline(always)]
    pub const fn new(slot: Slot, port: u16) -> Self {
        Self {
            slot: slot.to_be_bytes(),
            port: port.to_be_bytes(),
            _pad: [0; 2],
        }
    }

    /// The length in the trie, in bits, of a prefix of `bits` bits of the port.
    #[inline(always)]
    pub const fn length(bits: u8) -> u32 {
        32 + bits as u32
    }
}

/// The key of the table of protocols and of users.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NumberKey {
    /// The policy.
    pub slot: Slot,
    /// The protocol number or the user id.
    pub number: u32,
}

/// The key of the table of cgroups.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CgroupKey {
    /// The cgroup's id: the inode of its directory.
    pub cgroup: u64,
    /// The policy.
    pub slot: Slot,
    /// Zero.
    pub _pad: u32,
}

/// The key of the table of executables: a file, as the kernel knows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExecutableKey {
    /// The inode number (`inode->i_ino`).
    pub inode: u64,
    /// The file system's device, major in the upper twelve bits and minor in the lower twenty (`super_block->s_dev`).
    pub device: u32,
    /// The policy.
    pub slot: Slot,
}

const _: () = assert!(size_of::<PrefixKey>() == 24);
const _: () = assert!(size_of::<PortKey>() == 8);
const _: () = assert!(size_of::<CgroupKey>() == 16);
const _: () = assert!(size_of::<ExecutableKey>() == 16);

#[cfg(feature = "user")]
mod pod {
    use super::{CgroupKey, DemandKey, ExecutableKey, NumberKey, PortKey, PrefixKey};
    // SAFETY: all are `repr(C)`, made of integers, without implicit padding (sizes asserted above).
    unsafe impl aya::Pod for CgroupKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for DemandKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ExecutableKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for NumberKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PortKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PrefixKey {}
}
