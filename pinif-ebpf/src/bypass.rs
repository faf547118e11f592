//! Sockets that can send past TC egress: what the kernel reports of them.

use crate::{
    intent::Owner,
    key::{IfIndex, NetNsCookie},
};

/// `AF_PACKET`.
pub const AF_PACKET: u32 = 17;
/// `AF_XDP`.
pub const AF_XDP: u32 = 44;

/// [`Bypass::descriptor`] where it is not known.
pub const NO_DESCRIPTOR: u32 = u32::MAX;

/// A record of the ring buffer, and of what the iterator writes.
///
/// The hook at `setsockopt()` reports a socket that is about to send past TC egress. The iterator reports every packet
/// socket, since no offset that all kernels have says whether it does (`PACKET_QDISC_BYPASS`), and of every AF_XDP socket
/// that has a ring to send by. Another one lists the sockets from before pinif in this shape, where the kernel is older than 5.11.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bypass {
    /// The process that has it.
    pub owner: Owner,
    /// Its namespace.
    pub netns: NetNsCookie,
    /// Its inode number, by which `/proc/PID/fd` names it.
    pub inode: u64,
    /// `AF_PACKET` or `AF_XDP`; of the sockets from before, `AF_INET`, `AF_INET6` or `AF_PACKET`.
    pub family: u32,
    /// Its descriptor in the process; [`NO_DESCRIPTOR`] of the hook.
    pub descriptor: u32,
    /// The interface that it is bound to; none if it is not, or if this kernel's types do not say where that is.
    pub interface: IfIndex,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<Bypass>() == 88);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    unsafe impl aya::Pod for super::Bypass {}
}
