//! The network namespace of a socket, by its cookie, or by the inode number that stands for it where the kernel has no cookies for every hook.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_netns_cookie;
use pinif_ebpf::key::NetNsCookie;

use super::{
    offset,
    read::{follow, number_of, read},
};

/// The cookie of the namespace of a socket; zero if it has none yet.
#[inline(always)]
pub fn of(sock: u64) -> u64 {
    follow(sock, offset!(sock_netns)).map_or(0, cookie)
}

/// The namespace of the socket that a hook at a cgroup runs for.
#[inline(always)]
pub fn of_hook(context: *mut c_void, sock: *const c_void) -> NetNsCookie {
    NetNsCookie(if offset!(net_inode) != 0 {
        of(number_of(sock))
    } else {
        // SAFETY: the helper takes the context.
        unsafe { bpf_get_netns_cookie(context) }
    })
}

/// The cookie of a namespace (`struct net`), or the inode number that stands for it; zero if it has none yet.
#[inline(always)]
pub fn cookie(net: u64) -> u64 {
    if offset!(net_inode) != 0 {
        return read::<u32>(net, offset!(net_inode))
            .unwrap_or_default()
            .into();
    }
    read::<u64>(net, offset!(net_cookie)).unwrap_or_default()
}
