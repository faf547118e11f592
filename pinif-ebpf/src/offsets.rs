//! Where the kernel keeps the members that no helper gives: pure Rust emits no CO-RE relocations, so userspace reads
//! the offsets from the kernel's BTF and sets them when it loads the programs.

/// Offsets of members of kernel structures, in bytes. Zero is unknown: what rests on it is left out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `task_struct.tgid`: what userspace calls the process.
    pub task_tgid: u32,
    /// `task_struct.comm`.
    pub task_comm: u32,
    /// `task_struct.group_leader`.
    pub task_leader: u32,
    /// `task_struct.start_boottime`.
    pub task_started: u32,
    /// `task_struct.self_exec_id`: how often the process has begun another program (`begin_new_exec`).
    pub task_execs: u32,
    /// `task_struct.thread_pid`: its numbers, one for each PID namespace that it is in; none of a task that has ended.
    pub task_numbers: u32,
    /// `pid.level`: how many namespaces there are above the innermost of these.
    pub numbers_level: u32,
    /// `pid.numbers`: the numbers, the initial namespace's first. Each begins with the number itself.
    pub numbers_first: u32,
    /// `upid.ns`, the last member of each: the namespace that the number is of.
    pub number_namespace: u32,
    /// `pid_namespace.ns.inum`: the namespace's inode, as in `/proc/PID/ns/pid`.
    pub namespace_inode: u32,
    /// `task_struct.mm`.
    pub task_mm: u32,
    /// `mm_struct.exe_file`.
    pub mm_exe_file: u32,
    /// `file.f_inode`.
    pub file_inode: u32,
    /// `file.private_data`: of a socket's file, the socket as processes hold it.
    pub file_private: u32,
    /// `inode.i_mode`; zero is its place, and not unknown.
    pub inode_mode: u32,
    /// `inode.i_ino`.
    pub inode_number: u32,
    /// `inode.i_generation`.
    pub inode_generation: u32,
    /// `inode.i_sb`.
    pub inode_superblock: u32,
    /// `super_block.s_dev`, in the kernel's encoding.
    pub superblock_device: u32,
    /// `sock.sk_socket`: the socket as processes hold it; none before accept and after close.
    pub sock_socket: u32,
    /// `socket.file`: the file by which processes hold it; none for the kernel's own.
    pub socket_file: u32,
    /// `socket.sk`.
    pub socket_sock: u32,
    /// The inode number of a `struct socket`, by which /proc/PID/fd names it, from the socket on: they stand together in
    /// `struct socket_alloc`.
    pub socket_inode_number: u32,
    /// `sock.__sk_common.skc_net`: the pointer to the namespace.
    pub sock_netns: u32,
    /// `net.net_cookie`.
    pub net_cookie: u32,
    /// `net.ns.inum`, where it stands for the cookie: before Linux 5.14, no process can ask for that. Else zero.
    pub net_inode: u32,
    /// `sock.__sk_common.skc_family`.
    pub sock_family: u32,
    /// `sock.__sk_common.skc_cookie`; zero in a socket that nobody asked for it yet.
    pub sock_cookie: u32,
    /// `sock.sk_uid`.
    pub sock_uid: u32,
    /// `sock.sk_cgrp_data.cgroup`; `val` before Linux 5.15, whose lowest bits are set where it is no pointer.
    pub sock_cgroup: u32,
    /// `cgroup.kn`.
    pub cgroup_kernfs: u32,
    /// `cgroup.self.parent`: leads to the one above, whose `self` is its first member.
    pub cgroup_parent: u32,
    /// `kernfs_node.id`.
    pub kernfs_id: u32,
    /// `sk_buff.dev`.
    pub packet_device: u32,
    /// `sk_buff.inner_network_header`: where the packet begins that this one was put around; zero if it was around none.
    pub packet_inner_header: u32,
    /// `sk_buff.inner_protocol_type`, in bits: what was put around it came from a tunnel's device (`skb_set_inner_ipproto`), and not from a
    /// route (`skb_set_inner_protocol`); both say so of what they put an IP header around.
    pub packet_from_tunnel: u32,
    /// `sk_buff.from_ingress`, in bits: tc redirected it where it arrived.
    pub packet_from_ingress: u32,
    /// `net_device.ifindex`.
    pub device_index: u32,
    /// `net_device.name`.
    pub device_name: u32,
    /// `net_device.nd_net`: the pointer to the namespace.
    pub device_netns: u32,
    /// `net_device.flags`.
    pub device_flags: u32,
    /// `net_device.state`.
    pub device_state: u32,
    /// `net_device.type`, which no device has at the beginning.
    pub device_type: u32,
    /// `net_device.adj_list.upper`: the list of the devices above.
    pub device_uppers: u32,
    /// `netdev_adjacent.list`, by which these are linked; its `dev` is at 0.
    pub adjacent_list: u32,
    /// `net_device.ip_ptr`.
    pub device_ipv4: u32,
    /// `in_device.ifa_list`.
    pub ipv4_addresses: u32,
    /// `in_ifaddr.ifa_next`.
    pub ipv4_next: u32,
    /// `in_ifaddr.ifa_local`.
    pub ipv4_local: u32,
    /// `net_device.ip6_ptr`.
    pub device_ipv6: u32,
    /// `inet6_dev.addr_list`.
    pub ipv6_addresses: u32,
    /// `inet6_ifaddr.if_list`, by which these are linked; its `addr` is at 0.
    pub ipv6_list: u32,
    /// `packet_sock.ifindex`: the interface that a packet socket is bound to.
    pub packet_interface: u32,
    /// `xdp_sock.dev`: the device that an AF_XDP socket is bound to.
    pub xdp_device: u32,
    /// `xdp_sock.tx`: the ring that an AF_XDP socket sends by.
    pub xdp_send_ring: u32,
    /// `sock.__sk_common.skc_bound_dev_if`.
    pub sock_bound_device: u32,
    /// `mptcp_sock.first`: the subflow that the process made. Zero: the kernel has no Multipath TCP.
    pub connection_first: u32,
    /// `tcp_sock.is_mptcp`, in bits.
    pub sock_is_subflow: u32,
    /// `inet_connection_sock.icsk_ulp_data`.
    pub sock_ulp_data: u32,
    /// `mptcp_subflow_context.conn`.
    pub subflow_connection: u32,
    /// `sock.sk_userlocks`, in bits.
    pub sock_user_locks: u32,
}

const _: () = assert!(size_of::<Offsets>() == 61 * 4);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, integers of one size only.
unsafe impl aya::Pod for Offsets {}
