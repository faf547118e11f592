//! The kernel's structures, as small as the programs can see them. Where a member is, is chosen here: programs are given the offsets
//! (`OFFSETS`), which are those of the kernel's own types in an audit. What they execute does not depend on them, but on which are known.

use pinif_ebpf::offsets::Offsets;

/// Offsets of the members of the structures here. `sock` and `sk_buff` begin with what their contexts show (`struct bpf_sock`, `struct
/// __sk_buff`).
pub const OFFSETS: Offsets = Offsets {
    task_tgid: 8,
    task_comm: 16,
    task_leader: 32,
    task_started: 40,
    task_execs: 64,
    task_numbers: 48,
    numbers_level: 8,
    numbers_first: 16,
    number_namespace: 8,
    namespace_inode: 8,
    task_mm: 56,
    mm_exe_file: 8,
    file_inode: 8,
    file_private: 16,
    inode_mode: 0,
    inode_number: 8,
    inode_generation: 16,
    inode_superblock: 24,
    superblock_device: 8,
    sock_socket: 128,
    socket_file: 8,
    socket_sock: 16,
    socket_inode_number: 24,
    sock_netns: 136,
    net_cookie: 8,
    net_inode: 0,
    sock_family: 144,
    sock_cookie: 152,
    sock_uid: 160,
    sock_cgroup: 168,
    cgroup_kernfs: 8,
    cgroup_parent: 16,
    kernfs_id: 8,
    packet_device: 192,
    packet_inner_header: 200,
    packet_from_tunnel: 203 * 8,
    packet_from_ingress: 202 * 8,
    device_index: 8,
    device_name: 16,
    device_netns: 32,
    device_flags: 40,
    device_state: 48,
    device_type: 56,
    device_uppers: 64,
    adjacent_list: 8,
    device_ipv4: 80,
    ipv4_addresses: 8,
    ipv4_next: 8,
    ipv4_local: 16,
    device_ipv6: 88,
    ipv6_addresses: 8,
    ipv6_list: 16,
    packet_interface: 208,
    xdp_device: 208,
    xdp_send_ring: 216,
    sock_bound_device: 176,
    connection_first: 8,
    sock_is_subflow: 184 * 8,
    sock_ulp_data: 192,
    subflow_connection: 8,
    sock_user_locks: 200 * 8,
};

/// `struct bpf_sock` (linux/bpf.h): where its members are.
pub mod bpf_sock {
    pub const BOUND_DEVICE: u32 = 0;
    pub const FAMILY: u32 = 4;
    pub const KIND: u32 = 8;
    pub const PROTOCOL: u32 = 12;
    pub const LOCAL_ADDRESS: u32 = 24;
    pub const LOCAL_PORT: u32 = 44;
    pub const STATE: u32 = 72;
}

/// `struct __sk_buff`.
pub mod sk_buff {
    pub const LENGTH: u32 = 0;
    pub const PROTOCOL: u32 = 16;
    pub const ARRIVED: u32 = 36;
    pub const INTERFACE: u32 = 40;
    pub const DATA: u32 = 76;
    pub const DATA_END: u32 = 80;
    pub const WIRE_LENGTH: u32 = 160;
    pub const SEGMENTS: u32 = 164;
    pub const SOCKET: u32 = 168;
    pub const SEGMENT_SIZE: u32 = 176;
}

/// `struct bpf_sock_addr`.
pub mod bpf_sock_addr {
    pub const FAMILY: u32 = 28;
    pub const SOCKET: u32 = 64;
}

/// `struct bpf_sockopt`.
pub mod bpf_sockopt {
    pub const SOCKET: u32 = 0;
    pub const VALUE: u32 = 8;
    pub const VALUE_END: u32 = 16;
    pub const LEVEL: u32 = 24;
    pub const NAME: u32 = 28;
    pub const LENGTH: u32 = 32;
}

/// A structure of zeros, with these members: where each is, and what it holds.
pub fn structure(members: &[(u32, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 256];
    for &(at, member) in members {
        bytes[at as usize..][..member.len()].copy_from_slice(member);
    }
    bytes
}
