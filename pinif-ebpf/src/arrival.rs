//! What the kernel reports of network namespaces that userspace did not know yet.

use crate::key::NetNsCookie;

/// A record of the ring buffer: somebody made a socket in a namespace that is not known.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewNamespace {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The task that made the socket, by its number in the PID namespace of the auditor's `/proc`: a thread may be in a network
    /// namespace that its process is not in. Zero where it is not in there.
    pub task: u32,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<NewNamespace>() == 16);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    unsafe impl aya::Pod for super::NewNamespace {}
}
