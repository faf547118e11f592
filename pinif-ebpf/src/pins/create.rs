//! A socket is made: bound to the device before its process has it.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_netns_cookie, bpf_set_retval},
    macros::cgroup_sock,
    programs::SockContext,
};
use pinif_ebpf::key::NetNsCookie;

use crate::{ALLOW, REFUSE, state};

const ENODEV: i32 = 19;

/// At the end of `inet_create` and `inet6_create`. The kernel's own sockets do not come here.
#[cgroup_sock(sock_create)]
pub fn pinif_pin_sock(context: SockContext) -> i32 {
    let Some(pin) = state::pin() else {
        return REFUSE;
    };
    let at = state::offsets();
    let netns = if at.net_inode == 0 {
        // SAFETY: the helper takes the context.
        NetNsCookie(unsafe { bpf_get_netns_cookie(context.as_ptr()) })
    } else {
        // The context is the socket (`__cgroup_bpf_run_filter_sk`).
        let sock = state::number_of(context.as_ptr());
        state::netns_cookie(state::read(sock, at.sock_netns), &at)
    };
    if netns != pin.netns {
        state::count(|counters| &mut counters.elsewhere);
        return REFUSE;
    }
    if !pin.interface.is_some() {
        if at.chooses_error != 0 {
            // SAFETY: the helper takes any errno.
            unsafe { bpf_set_retval(-ENODEV) };
        }
        state::count(|counters| &mut counters.away);
        return REFUSE;
    }
    // SAFETY: the context is valid, and this member writable here (`sock_filter_is_valid_access`).
    unsafe { (&raw mut (*context.sock).bound_dev_if).write_volatile(pin.interface.0) };
    state::count(|counters| &mut counters.pinned);
    ALLOW
}
