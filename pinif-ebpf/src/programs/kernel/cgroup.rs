//! The cgroups of version 2: that of a socket, and those above it, by their addresses in the kernel (`struct cgroup`).

use super::{
    offset,
    read::{follow, read},
};

/// Where the cgroup of a full socket is.
#[inline(always)]
pub fn of(sock: u64) -> Option<u64> {
    // `sock_cgroup_ptr` before Linux 5.15: with one of the lowest bits, it is what version 1's controllers keep there.
    follow(sock, offset!(sock_cgroup)).filter(|pointer| pointer & 3 == 0)
}

/// Where the cgroup above a cgroup is; none above the root.
#[inline(always)]
pub fn above(cgroup: u64) -> Option<u64> {
    follow(cgroup, offset!(cgroup_parent))
}

/// The id of a cgroup.
#[inline(always)]
pub fn id(cgroup: u64) -> u64 {
    follow(cgroup, offset!(cgroup_kernfs))
        .and_then(|kernfs| read::<u64>(kernfs, offset!(kernfs_id)))
        .unwrap_or_default()
}
