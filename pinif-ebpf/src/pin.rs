//! The contract of a pin (`pinif run`, `pinif pin`): a cgroup whose sockets are bound to one device from birth, and whose
//! packets leave by no other.

use crate::{
    intent::Name,
    key::{IfIndex, NetNsCookie},
};

/// [`Pin::flags`].
pub mod flag {
    /// Processes may bind their sockets to another device, which is then theirs.
    pub const ALLOW_REBIND: u32 = 1 << 0;
}

/// What a cgroup is pinned to. Only `interface` and `address` ever change: the name is what the pin follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// The namespace that the interface is in.
    pub netns: NetNsCookie,
    /// The interface that has the name now; none while there is none.
    pub interface: IfIndex,
    /// [`flag`].
    pub flags: u32,
    /// The interface's name.
    pub name: Name,
    /// Its first IPv4 address, in network byte order; zero where it has none.
    pub address: u32,
    /// Zero.
    pub _pad: u32,
}

/// What pinned sockets sent by one interface, and what of it was dropped.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EgressStats {
    /// What the interface was called.
    pub name: Name,
    /// Packets that left, as they are on the wire.
    pub packets: u64,
    /// Their bytes, from the IP header on.
    pub bytes: u64,
    /// Packets that were dropped instead.
    pub dropped_packets: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
}

/// What became of sockets and of their options.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PinCounters {
    /// Sockets that were bound to the device as they were made.
    pub pinned: u64,
    /// Sockets that were refused, since there was no such interface.
    pub away: u64,
    /// Sockets that were refused, since they were made in another network namespace.
    pub elsewhere: u64,
    /// Attempts to bind a socket to another device, or to none, that were refused.
    pub refused: u64,
    /// Packets that left, or were dropped, by an interface for which there was no room among the counters.
    pub uncounted: u64,
    /// Attempts to join a group on another interface, which were refused.
    pub joins: u64,
}

/// [`Attempt::what`].
pub mod attempt {
    /// To bind a socket.
    pub const BIND: u32 = 0;
    /// To join, or leave, a group on an interface.
    pub const JOIN: u32 = 1;
}

/// Who tried to bind a socket to what, or to join a group where: the key of a counter.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The task's name: untrusted bytes.
    pub comm: Name,
    /// The device's name that was asked for: untrusted bytes. Empty for [`Attempt::index`].
    pub device: Name,
    /// The process id, in the initial namespace.
    pub pid: u32,
    /// The index that was asked for (`SO_BINDTOIFINDEX`); where both are empty, the socket was to be unbound.
    pub index: IfIndex,
    /// What was tried: one of [`attempt`].
    pub what: u32,
    /// Zero.
    pub _pad: u32,
}

/// Where this kernel keeps what no helper gives a cgroup's program, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `sk_buff.dev`.
    pub skb_device: u32,
    /// `net_device.name`.
    pub device_name: u32,
    /// `net_device.nd_net.net`.
    pub device_netns: u32,
    /// `net.net_cookie`.
    pub net_cookie: u32,
    /// `net.ns.inum`, where it stands for the cookie, as in [`crate::offsets::Offsets`]. Else zero.
    pub net_inode: u32,
    /// `sock.__sk_common.skc_net`: the pointer to the namespace.
    pub sock_netns: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.comm`.
    pub task_comm: u32,
    /// Not zero: a hook may choose the error of a call that it refuses (`bpf_set_retval`, since Linux 5.18).
    pub chooses_error: u32,
    /// `sock.__sk_common.skc_bound_dev_if`.
    pub sock_bound_device: u32,
    /// `mptcp_sock.first`. Zero: the kernel has no Multipath TCP.
    pub connection_first: u32,
    /// `inet_connection_sock.icsk_ulp_data`.
    pub sock_ulp_data: u32,
    /// `sk_buff.sk`.
    pub skb_sock: u32,
    /// `sk_buff.head`.
    pub skb_head: u32,
    /// `sk_buff.end`.
    pub skb_end: u32,
    /// `skb_shared_info.gso_segs`.
    pub shared_segments: u32,
    /// `sock.__sk_common.skc_state`.
    pub sock_state: u32,
    /// `sock.__sk_common.skc_cookie`.
    pub sock_cookie: u32,
    /// `sock.__sk_common.skc_listener`: of a request socket.
    pub request_listener: u32,
    /// `net_device.ifindex`.
    pub device_index: u32,
    /// `sk_buff.cb`.
    pub skb_control: u32,
    /// `inet_skb_parm.flags`.
    pub ipv4_flags: u32,
    /// `inet6_skb_parm.flags`. Zero: the kernel has no IPv6.
    pub ipv6_flags: u32,
}

const _: () = assert!(size_of::<Pin>() == 40);
const _: () = assert!(size_of::<EgressStats>() == 48);
const _: () = assert!(size_of::<PinCounters>() == 48);
const _: () = assert!(size_of::<Attempt>() == 48);
const _: () = assert!(size_of::<Offsets>() == 92);

#[cfg(feature = "user")]
mod pod {
    use super::{Attempt, EgressStats, Offsets, Pin, PinCounters};
    // SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
    unsafe impl aya::Pod for Attempt {}
    // SAFETY: as above.
    unsafe impl aya::Pod for EgressStats {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Offsets {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Pin {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PinCounters {}
}
