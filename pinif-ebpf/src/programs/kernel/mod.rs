//! The kernel's own structures, as helpers and contexts give them: each unsafe read is here, once.

pub mod cgroup;
pub mod devices;
pub mod namespace;
pub mod packet;
pub mod read;
pub mod sock;
pub mod sockopt;
pub mod struct_sock;
pub mod task;

use aya_ebpf::Global;
use pinif_ebpf::{key::NetNsCookie, offsets::Offsets};

/// Where this kernel keeps what no helper gives.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Global<Offsets> = Global::new(Offsets {
    task_tgid: 0,
    task_comm: 0,
    task_leader: 0,
    task_started: 0,
    task_execs: 0,
    task_numbers: 0,
    numbers_level: 0,
    numbers_first: 0,
    number_namespace: 0,
    namespace_inode: 0,
    task_mm: 0,
    mm_exe_file: 0,
    file_inode: 0,
    file_private: 0,
    inode_mode: 0,
    inode_number: 0,
    inode_generation: 0,
    inode_superblock: 0,
    superblock_device: 0,
    sock_socket: 0,
    socket_file: 0,
    socket_sock: 0,
    socket_inode_number: 0,
    sock_netns: 0,
    net_cookie: 0,
    net_inode: 0,
    sock_family: 0,
    sock_cookie: 0,
    sock_uid: 0,
    sock_cgroup: 0,
    cgroup_kernfs: 0,
    cgroup_parent: 0,
    kernfs_id: 0,
    packet_device: 0,
    packet_inner_header: 0,
    packet_from_tunnel: 0,
    packet_from_ingress: 0,
    device_index: 0,
    device_name: 0,
    device_netns: 0,
    device_flags: 0,
    device_state: 0,
    device_type: 0,
    device_uppers: 0,
    adjacent_list: 0,
    device_ipv4: 0,
    ipv4_addresses: 0,
    ipv4_next: 0,
    ipv4_local: 0,
    device_ipv6: 0,
    ipv6_addresses: 0,
    ipv6_list: 0,
    packet_interface: 0,
    xdp_device: 0,
    xdp_send_ring: 0,
    sock_bound_device: 0,
    connection_first: 0,
    sock_is_subflow: 0,
    sock_ulp_data: 0,
    subflow_connection: 0,
    sock_user_locks: 0,
});

/// The namespace that the traffic programs look at.
#[inline(always)]
pub fn netns() -> NetNsCookie {
    crate::state::netns::get()
}

/// One of the [`Offsets`]: a volatile load of it alone, since userspace has written it. Loading all of them is as many
/// instructions.
macro_rules! offset {
    ($member:ident) => {{
        let offsets = (&raw const $crate::kernel::OFFSETS).cast::<pinif_ebpf::offsets::Offsets>();
        // SAFETY: `Global` is transparent, and nobody writes to it once the programs are loaded.
        unsafe { (&raw const (*offsets).$member).read_volatile() }
    }};
}
pub(crate) use offset;
