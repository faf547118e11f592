//! A socket as `struct bpf_sock` shows it.

use core::{ffi::c_void, ptr::addr_of};

use aya_ebpf::{
    bindings::bpf_sock,
    helpers::generated::{bpf_get_listener_sock, bpf_sk_fullsock, bpf_skc_to_mptcp_sock},
};
use pinif_ebpf::{
    key::{Address, IfIndex},
    packet::protocol,
};

use super::{offset, read};

/// `AF_INET`.
pub const AF_INET: u32 = 2;
/// `AF_INET6`.
pub const AF_INET6: u32 = 10;
/// `AF_PACKET`.
pub const AF_PACKET: u32 = 17;
/// `SOCK_STREAM`.
pub const SOCK_STREAM: u32 = 1;
/// `SOCK_DGRAM`.
pub const SOCK_DGRAM: u32 = 2;
/// `TCP_TIME_WAIT`, `TCP_LISTEN` and `TCP_NEW_SYN_RECV` (include/net/tcp_states.h).
const TIME_WAIT: u32 = 6;
const LISTEN: u32 = 10;
const NEW_SYN_RECV: u32 = 12;
/// `SOCK_RAW`.
pub const SOCK_RAW: u32 = 3;

macro_rules! member {
    ($sock:expr, $member:ident) => {
        // SAFETY: the pointer is not null, the verifier knows its kind, and rewrites the access to the kernel's own
        // structure; volatile, so that the compiler neither widens nor moves it.
        unsafe { addr_of!((*$sock).$member).read_volatile() }
    };
}

/// A socket in any state: full, request or time-wait (`PTR_TO_SOCK_COMMON`).
#[derive(Clone, Copy)]
pub struct Sock(*mut bpf_sock);

impl Sock {
    /// The socket behind a pointer that may be null.
    #[inline(always)]
    pub fn new(sock: *mut bpf_sock) -> Option<Self> {
        (!sock.is_null()).then_some(Self(sock))
    }

    /// The pointer that helpers take.
    #[inline(always)]
    pub fn as_ptr(self) -> *mut bpf_sock {
        self.0
    }

    /// Its address in the kernel.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// Its bound device, live. All three kinds keep it in `sock_common.skc_bound_dev_if` (`tw_bound_dev_if`, `ir_iif`).
    #[inline(always)]
    pub fn bound_device(self) -> IfIndex {
        IfIndex(member!(self.0, bound_dev_if))
    }

    /// Its local port, in host byte order.
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        member!(self.0, src_port) as u16
    }

    /// Its family.
    #[inline(always)]
    pub fn family(self) -> u32 {
        member!(self.0, family)
    }

    /// Whether it waits for connections.
    #[inline(always)]
    pub fn is_listening(self) -> bool {
        member!(self.0, state) == LISTEN
    }

    /// Whether it is what is left of a connection.
    #[inline(always)]
    pub fn is_in_time_wait(self) -> bool {
        member!(self.0, state) == TIME_WAIT
    }

    /// Whether it is a connection that is not accepted yet.
    #[inline(always)]
    pub fn is_request(self) -> bool {
        member!(self.0, state) == NEW_SYN_RECV
    }

    /// The same, if it is a full socket.
    #[inline(always)]
    pub fn full(self) -> Option<FullSock> {
        // SAFETY: the helper takes a socket in any state.
        FullSock::new(unsafe { bpf_sk_fullsock(self.0) })
    }

    /// The listener of a request socket.
    #[inline(always)]
    pub fn listener(self) -> Option<FullSock> {
        // SAFETY: the helper takes a socket in any state.
        FullSock::new(unsafe { bpf_get_listener_sock(self.0) })
    }
}

/// A full socket: what a process has, or the kernel.
#[derive(Clone, Copy)]
pub struct FullSock(*mut bpf_sock);

impl FullSock {
    /// The socket behind a pointer that may be null.
    #[inline(always)]
    pub fn new(sock: *mut bpf_sock) -> Option<Self> {
        (!sock.is_null()).then_some(Self(sock))
    }

    /// The pointer that helpers take.
    #[inline(always)]
    pub fn as_ptr(self) -> *mut bpf_sock {
        self.0
    }

    /// Its bound device, live.
    #[inline(always)]
    pub fn bound_device(self) -> IfIndex {
        IfIndex(member!(self.0, bound_dev_if))
    }

    /// Its family.
    #[inline(always)]
    pub fn family(self) -> u32 {
        member!(self.0, family)
    }

    /// Its type.
    #[inline(always)]
    pub fn kind(self) -> u32 {
        member!(self.0, type_)
    }

    /// Its protocol.
    #[inline(always)]
    pub fn protocol(self) -> u32 {
        member!(self.0, protocol)
    }

    /// Its local port, in host byte order.
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        member!(self.0, src_port) as u16
    }

    /// Where the Multipath TCP connection is that it is a subflow of; zero for any other socket, and where the kernel has none.
    ///
    /// Not by `bpf_skc_to_mptcp_sock`: that follows `icsk_ulp_data` unchecked, which is null while a subflow ends, and Linux 6.1 has
    /// an oops then (`bpf_mptcp_sock_from_subflow`).
    #[inline(always)]
    pub fn connection_address(self) -> u64 {
        // A raw socket of this protocol is shorter.
        let is_tcp = (self.protocol() == protocol::TCP as u32) & (self.kind() == SOCK_STREAM);
        if offset!(connection_first) == 0 || !is_tcp {
            return 0;
        }
        let at = read::number_of(self.0.cast());
        let bit = offset!(sock_is_subflow);
        let mut flags = 0u8;
        read::read_into(&mut flags, at, bit / 8);
        if flags >> (bit % 8) & 1 == 0 {
            return 0;
        }
        let (mut context, mut connection) = (0u64, 0u64);
        read::read_into(&mut context, at, offset!(sock_ulp_data));
        read::read_into(&mut connection, context, offset!(subflow_connection));
        connection
    }

    /// The same for what takes a socket; null where there is none. Only while the subflow is made.
    ///
    /// The helper is there from Linux 5.19 on. The verifier does not see the call where the kernel's types have no
    /// `struct mptcp_sock`, which it returns.
    #[inline(always)]
    pub fn connection(self) -> *mut c_void {
        if self.connection_address() == 0 {
            return core::ptr::null_mut();
        }
        // SAFETY: the helper takes a socket of any kind.
        unsafe { bpf_skc_to_mptcp_sock(self.0.cast()) }.cast()
    }

    /// Its local address, IPv4 or IPv6 by its family; readable in the cgroup hooks of that family only.
    #[inline(always)]
    pub fn local_v4(self) -> Address {
        Address::v4(member!(self.0, src_ip4).to_ne_bytes())
    }

    /// Its local IPv6 address.
    #[inline(always)]
    pub fn local_v6(self) -> Address {
        let words: [u32; 4] = [
            // SAFETY: as for every member; one load a word, as the verifier wants it.
            unsafe { addr_of!((*self.0).src_ip6[0]).read_volatile() },
            // SAFETY: as above.
            unsafe { addr_of!((*self.0).src_ip6[1]).read_volatile() },
            // SAFETY: as above.
            unsafe { addr_of!((*self.0).src_ip6[2]).read_volatile() },
            // SAFETY: as above.
            unsafe { addr_of!((*self.0).src_ip6[3]).read_volatile() },
        ];
        let mut octets = [0; 16];
        let mut index = 0;
        while index < 4 {
            let word = words[index].to_ne_bytes();
            octets[index * 4] = word[0];
            octets[index * 4 + 1] = word[1];
            octets[index * 4 + 2] = word[2];
            octets[index * 4 + 3] = word[3];
            index += 1;
        }
        Address::v6(octets)
    }
}
