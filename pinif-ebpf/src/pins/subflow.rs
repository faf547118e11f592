//! The subflows of Multipath TCP: sockets that the kernel makes (`sock_create_kern`), so that no hook sees them made. They
//! are bound to the device as they are bound to an address, or connect.

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_sock,
    helpers::generated::{bpf_setsockopt, bpf_skc_to_mptcp_sock},
    macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use pinif_ebpf::{intent::NAME_LENGTH, key::IfIndex};

use crate::{
    ALLOW, REFUSE, member,
    setsockopt::{SO_BINDTODEVICE, SOL_SOCKET},
    state::{self, number_of, read},
};

/// `IPPROTO_MPTCP`.
const MPTCP: u32 = 262;

/// Before an IPv4 socket is bound to an address: a subflow of the path manager's always is (`__mptcp_subflow_connect`).
#[cgroup_sock_addr(bind4)]
pub fn pinif_pin_bind4(context: SockAddrContext) -> i32 {
    bind(&context)
}

/// Before an IPv6 socket is bound to an address.
#[cgroup_sock_addr(bind6)]
pub fn pinif_pin_bind6(context: SockAddrContext) -> i32 {
    bind(&context)
}

/// Before an IPv4 socket connects. Of a Multipath TCP connection, it is the subflow that comes here (`mptcp_connect`).
#[cgroup_sock_addr(connect4)]
pub fn pinif_pin_con4(context: SockAddrContext) -> i32 {
    bind(&context)
}

/// Before an IPv6 socket connects.
#[cgroup_sock_addr(connect6)]
pub fn pinif_pin_con6(context: SockAddrContext) -> i32 {
    bind(&context)
}

/// Binds a subflow to the device that its connection is bound to, if that is the pin's. One that the path manager has bound
/// to another (an endpoint with `dev`) does not come about: it would leave by that.
#[inline(always)]
fn bind(context: &SockAddrContext) -> i32 {
    let at = state::offsets();
    if at.connection_first == 0 {
        // Of a helper that the kernel does not have the verifier sees nothing.
        return ALLOW;
    }
    let sock = member!(context.sock_addr, __bindgen_anon_1.sk);
    let Some(pin) = state::pin() else {
        return REFUSE;
    };
    if sock.is_null() || !pin.interface.is_some() {
        return ALLOW;
    }
    let own = IfIndex(member!(sock, bound_dev_if));
    if own == pin.interface {
        return ALLOW;
    }
    // The helper follows this pointer unchecked, and Linux 6.1 has an oops where it is null.
    let is_none = read::<u64>(number_of(sock.cast()), at.sock_ulp_data) == 0;
    if is_none {
        return ALLOW;
    }
    // SAFETY: the helper takes a socket of any kind.
    let connection = unsafe { bpf_skc_to_mptcp_sock(sock.cast()) };
    if connection.is_null() || bound_device(connection as u64) != pin.interface {
        return ALLOW;
    }
    if own.is_some() {
        return REFUSE;
    }
    // SAFETY: the helper takes the context and a name with its length; the kernel cuts it at the first zero.
    let failed = unsafe {
        bpf_setsockopt(
            context.as_ptr(),
            SOL_SOCKET,
            SO_BINDTODEVICE,
            (&raw const pin.name).cast_mut().cast(),
            NAME_LENGTH as i32,
        )
    };
    if failed == 0 { ALLOW } else { REFUSE }
}

/// The bound device of a connection's first subflow: the kernel binds that one where the process binds the connection
/// (`mptcp_setsockopt_sol_socket`). None of what is no connection of Multipath TCP.
#[inline(always)]
pub fn of_connection(sock: *mut bpf_sock) -> Option<IfIndex> {
    let at = state::offsets();
    if at.connection_first == 0 || member!(sock, protocol) != MPTCP {
        return None;
    }
    let first: u64 = read(number_of(sock.cast()), at.connection_first);
    Some(bound_device(first))
}

/// What a socket is bound to, by its address in the kernel.
#[inline(always)]
fn bound_device(sock: u64) -> IfIndex {
    IfIndex(read(sock, state::offsets().sock_bound_device))
}
