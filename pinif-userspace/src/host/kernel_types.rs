//! Where the kernel keeps what the programs read from its structures.

use std::{fs, sync::OnceLock};

use anyhow::Context;
use pinif_ebpf::{offsets::Offsets, pin};

use super::{btf::Btf, netns::cookie};

/// The types of the running kernel (`CONFIG_DEBUG_INFO_BTF`).
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// What pinif takes from the kernel's types.
#[derive(Clone, Copy, Debug)]
pub struct KernelTypes {
    /// The offsets that the audit's programs need.
    pub offsets: Offsets,
    /// The offsets that a pin's programs need.
    pub offsets_of_pins: pin::Offsets,
    /// The id of the function that an iterator over the files of all tasks is attached to ([`TASK_FILE`]); none where the kernel
    /// has no such iterator.
    pub task_file: Option<u32>,
    /// The functions of which a return or a call wakes pinif.
    pub traced: TracedFunctions,
}

/// The ids of functions that programs are attached to by trampolines; none of one that this kernel does not have under its own name: the
/// compiler may have put it into its callers, or made a part of it another function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracedFunctions {
    /// [`SYS_BPF`].
    pub sys_bpf: Option<u32>,
    /// [`TABLE_PUT`].
    pub table_put: Option<u32>,
    /// [`TABLE_CUT`].
    pub table_cut: Option<u32>,
    /// [`SOCKET_OPTION`].
    pub socket_option: Option<u32>,
}

/// bpf(2), of either width (kernel/bpf/syscall.c, since Linux 5.13).
pub const SYS_BPF: &str = "__sys_bpf";
/// What puts a program into a table (kernel/bpf/arraymap.c).
pub const TABLE_PUT: &str = "bpf_fd_array_map_update_elem";
/// What takes one out.
pub const TABLE_CUT: &str = "fd_array_map_delete_elem";
/// What is asked before a socket's option is set (security/security.c, `CONFIG_SECURITY_NETWORK`).
pub const SOCKET_OPTION: &str = "security_socket_setsockopt";

/// The function that an iterator over the files of all tasks is attached to (kernel/bpf/task_iter.c).
pub const TASK_FILE: &str = "bpf_iter_task_file";

/// What the running kernel's BTF says. It is read once in a process: it is some megabytes.
///
/// # Errors
/// Where the kernel has no BTF, or a structure is not as expected.
pub fn of_kernel() -> anyhow::Result<&'static KernelTypes> {
    static TYPES: OnceLock<KernelTypes> = OnceLock::new();
    if let Some(types) = TYPES.get() {
        return Ok(types);
    }
    let types =
        find(read()?).with_context(|| format!("cannot use the kernel's types in {VMLINUX}"))?;
    Ok(TYPES.get_or_init(|| types))
}

fn read() -> anyhow::Result<Vec<u8>> {
    fs::read(VMLINUX).with_context(|| {
        format!(
            "cannot read the kernel's types in {VMLINUX}; it must be built with CONFIG_DEBUG_INFO_BTF"
        )
    })
}

fn find(data: Vec<u8>) -> anyhow::Result<KernelTypes> {
    let btf = Btf::parse(data)?;
    let net_inode = if cookie::is_inode()? {
        btf.offset("net", "ns.inum")?
    } else {
        0
    };
    Ok(KernelTypes {
        offsets: offsets(&btf, net_inode)?,
        offsets_of_pins: offsets_of_pins(&btf, net_inode)?,
        task_file: btf.function(TASK_FILE).ok(),
        traced: TracedFunctions {
            sys_bpf: btf.function(SYS_BPF).ok(),
            table_put: btf.function(TABLE_PUT).ok(),
            table_cut: btf.function(TABLE_CUT).ok(),
            socket_option: btf.function(SOCKET_OPTION).ok(),
        },
    })
}

fn offsets_of_pins(btf: &Btf, net_inode: u32) -> anyhow::Result<pin::Offsets> {
    Ok(pin::Offsets {
        skb_device: btf.offset("sk_buff", "dev")?,
        device_name: btf.offset("net_device", "name")?,
        device_netns: btf.offset("net_device", "nd_net.net")?,
        net_cookie: btf.offset("net", "net_cookie")?,
        net_inode,
        sock_netns: btf.offset("sock", "__sk_common.skc_net.net")?,
        task_tgid: btf.offset("task_struct", "tgid")?,
        task_comm: btf.offset("task_struct", "comm")?,
        // The loader asks the kernel.
        chooses_error: 0,
        sock_bound_device: btf.offset("sock", "__sk_common.skc_bound_dev_if")?,
        connection_first: btf.offset("mptcp_sock", "first").unwrap_or_default(),
        sock_ulp_data: btf.offset("inet_connection_sock", "icsk_ulp_data")?,
        skb_sock: btf.offset("sk_buff", "sk")?,
        skb_head: btf.offset("sk_buff", "head")?,
        skb_end: btf.offset("sk_buff", "end")?,
        shared_segments: btf.offset("skb_shared_info", "gso_segs")?,
        sock_state: btf.offset("sock", "__sk_common.skc_state")?,
        sock_cookie: btf.offset("sock", "__sk_common.skc_cookie")?,
        request_listener: btf.offset("sock", "__sk_common.skc_listener")?,
        device_index: btf.offset("net_device", "ifindex")?,
        skb_control: btf.offset("sk_buff", "cb")?,
        ipv4_flags: btf.offset("inet_skb_parm", "flags")?,
        ipv6_flags: btf.offset("inet6_skb_parm", "flags").unwrap_or_default(),
    })
}

fn offsets(btf: &Btf, net_inode: u32) -> anyhow::Result<Offsets> {
    Ok(Offsets {
        task_tgid: btf.offset("task_struct", "tgid")?,
        task_comm: btf.offset("task_struct", "comm")?,
        task_leader: btf.offset("task_struct", "group_leader")?,
        // `real_start_time` before Linux 5.5.
        task_started: btf
            .offset("task_struct", "start_boottime")
            .unwrap_or_default(),
        task_execs: btf
            .offset("task_struct", "self_exec_id")
            .unwrap_or_default(),
        task_numbers: btf.offset("task_struct", "thread_pid")?,
        numbers_level: btf.offset("pid", "level")?,
        numbers_first: btf.offset("pid", "numbers")?,
        number_namespace: btf.offset("upid", "ns")?,
        namespace_inode: btf.offset("pid_namespace", "ns.inum")?,
        task_mm: btf.offset("task_struct", "mm")?,
        mm_exe_file: btf.offset("mm_struct", "exe_file")?,
        file_inode: btf.offset("file", "f_inode")?,
        file_private: btf.offset("file", "private_data")?,
        inode_mode: btf.offset("inode", "i_mode")?,
        inode_number: btf.offset("inode", "i_ino")?,
        inode_generation: btf.offset("inode", "i_generation")?,
        inode_superblock: btf.offset("inode", "i_sb")?,
        superblock_device: btf.offset("super_block", "s_dev")?,
        sock_socket: btf.offset("sock", "sk_socket")?,
        socket_file: btf.offset("socket", "file")?,
        socket_sock: btf.offset("socket", "sk")?,
        socket_inode_number: btf
            .offset("socket_alloc", "vfs_inode.i_ino")?
            .checked_sub(btf.offset("socket_alloc", "socket")?)
            .context("`struct socket_alloc` has the inode before the socket")?,
        sock_netns: btf.offset("sock", "__sk_common.skc_net.net")?,
        net_cookie: btf.offset("net", "net_cookie")?,
        net_inode,
        sock_family: btf.offset("sock", "__sk_common.skc_family")?,
        sock_cookie: btf.offset("sock", "__sk_common.skc_cookie")?,
        sock_uid: btf.offset("sock", "sk_uid")?,
        sock_cgroup: btf
            .offset("sock", "sk_cgrp_data.cgroup")
            .or_else(|_| btf.offset("sock", "sk_cgrp_data.val"))?,
        cgroup_kernfs: btf.offset("cgroup", "kn")?,
        cgroup_parent: match btf.offset("cgroup", "self")? {
            0 => btf.offset("cgroup", "self.parent")?,
            // It would lead into the middle of the cgroup above: unknown, then.
            _ => 0,
        },
        kernfs_id: btf.offset("kernfs_node", "id")?,
        packet_device: btf.offset("sk_buff", "dev")?,
        packet_inner_header: btf.offset("sk_buff", "inner_network_header")?,
        packet_from_tunnel: btf.bit_offset("sk_buff", "inner_protocol_type")?,
        // `tc_from_ingress` before Linux 5.13.
        packet_from_ingress: btf
            .bit_offset("sk_buff", "from_ingress")
            .or_else(|_| btf.bit_offset("sk_buff", "tc_from_ingress"))
            .unwrap_or_default(),
        device_index: btf.offset("net_device", "ifindex")?,
        device_name: btf.offset("net_device", "name")?,
        device_netns: btf.offset("net_device", "nd_net")?,
        device_flags: btf.offset("net_device", "flags")?,
        device_state: btf.offset("net_device", "state")?,
        device_type: btf.offset("net_device", "type")?,
        device_uppers: btf.offset("net_device", "adj_list.upper")?,
        adjacent_list: btf.offset("netdev_adjacent", "list")?,
        device_ipv4: btf.offset("net_device", "ip_ptr")?,
        ipv4_addresses: btf.offset("in_device", "ifa_list")?,
        ipv4_next: btf.offset("in_ifaddr", "ifa_next")?,
        ipv4_local: btf.offset("in_ifaddr", "ifa_local")?,
        // A kernel without IPv6, or with it as a module, does not have these.
        device_ipv6: btf.offset("net_device", "ip6_ptr").unwrap_or_default(),
        ipv6_addresses: btf.offset("inet6_dev", "addr_list").unwrap_or_default(),
        ipv6_list: btf.offset("inet6_ifaddr", "if_list").unwrap_or_default(),
        // Where these families are modules, or are not built, the kernel's own types do not have them.
        packet_interface: btf.offset("packet_sock", "ifindex").unwrap_or_default(),
        xdp_device: btf.offset("xdp_sock", "dev").unwrap_or_default(),
        xdp_send_ring: btf.offset("xdp_sock", "tx").unwrap_or_default(),
        sock_bound_device: btf.offset("sock", "__sk_common.skc_bound_dev_if")?,
        // Multipath TCP is an option.
        connection_first: btf.offset("mptcp_sock", "first").unwrap_or_default(),
        sock_is_subflow: btf.bit_offset("tcp_sock", "is_mptcp").unwrap_or_default(),
        sock_ulp_data: btf.offset("inet_connection_sock", "icsk_ulp_data")?,
        subflow_connection: btf
            .offset("mptcp_subflow_context", "conn")
            .unwrap_or_default(),
        sock_user_locks: btf.bit_offset("sock", "sk_userlocks")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_them_all() {
        let offsets = of_kernel().expect("the kernel's types").offsets;
        // `__sk_common` is the first of struct sock, and its first 16 bytes are addresses, hash and ports.
        assert!((16..256).contains(&offsets.sock_netns), "{offsets:?}");
        let aligned = [
            offsets.sock_cookie,
            offsets.cgroup_parent,
            offsets.task_mm,
            offsets.mm_exe_file,
            offsets.file_inode,
            offsets.sock_netns,
            offsets.kernfs_id,
        ];
        assert!(aligned.iter().all(|offset| offset % 8 == 0), "{offsets:?}");
        assert!(offsets.cgroup_parent > 0, "{offsets:?}");
        let apart = [offsets.task_tgid, offsets.task_comm, offsets.task_mm];
        assert!(apart.iter().all(|offset| *offset > 0), "{offsets:?}");
        assert!(
            offsets.task_tgid.is_multiple_of(4) && offsets.task_tgid != offsets.task_comm,
            "{offsets:?}"
        );
    }

    #[test]
    fn the_running_kernel_has_those_of_pins() {
        let offsets = of_kernel().expect("the kernel's types").offsets_of_pins;
        let pointers = [offsets.skb_device, offsets.device_netns, offsets.net_cookie];
        assert!(pointers.iter().all(|offset| offset % 8 == 0), "{offsets:?}");
    }

    #[test]
    fn a_kernel_with_other_types_is_reported() {
        let error = find(vec![0; 64]).expect_err("no BTF");
        assert_eq!(
            error.to_string(),
            "it is not BTF of this machine's byte order"
        );
    }
}
