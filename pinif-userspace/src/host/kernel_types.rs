//! Where the kernel keeps what the programs read from its structures.

use std::fs;

use anyhow::Context;

use super::btf::Btf;

/// The types of the running kernel (`CONFIG_DEBUG_INFO_BTF`).
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Byte offsets of members of kernel structures. The programs are compiled once, and get them when they are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelOffsets {
    /// `task_struct.tgid`: what userspace calls the process.
    pub task_tgid: u32,
    /// `task_struct.comm`: the thread's name.
    pub task_comm: u32,
    /// `task_struct.mm`: its memory, none for kernel threads.
    pub task_mm: u32,
    /// `mm_struct.exe_file`: the file that it runs.
    pub mm_exe_file: u32,
    /// `file.f_inode`.
    pub file_inode: u32,
    /// `inode.i_ino`.
    pub inode_number: u32,
    /// `inode.i_sb`.
    pub inode_superblock: u32,
    /// `super_block.s_dev`, in the kernel's encoding.
    pub superblock_device: u32,
    /// `socket.sk`.
    pub socket_sk: u32,
    /// `sock.sk_socket`: the socket as processes hold it, none before accept and after close.
    pub sock_socket: u32,
    /// The inode number of a `struct socket`, by which /proc/PID/fd names it, from the socket on: they stand together
    /// in `struct socket_alloc`.
    pub socket_inode_number: u32,
    /// `sock.__sk_common.skc_net.net`: the pointer to the namespace.
    pub sock_netns: u32,
    /// `net.net_cookie`.
    pub net_cookie: u32,
    /// `sock.sk_uid`: the user that made the socket.
    pub sock_uid: u32,
    /// `sock.sk_cgrp_data.cgroup`: the cgroup v2 that the socket was made in.
    pub sock_cgroup: u32,
    /// `cgroup.kn`.
    pub cgroup_kernfs: u32,
    /// `kernfs_node.id`: the cgroup's id.
    pub kernfs_id: u32,
}

impl KernelOffsets {
    /// Reads them from the running kernel's BTF. It takes some milliseconds.
    ///
    /// # Errors
    /// Where the kernel has no BTF, or a structure is not as expected.
    pub fn read() -> anyhow::Result<Self> {
        let data = fs::read(VMLINUX).with_context(|| {
            format!("cannot read the kernel's types in {VMLINUX}; it must be built with CONFIG_DEBUG_INFO_BTF")
        })?;
        Self::find(data).with_context(|| format!("cannot use the kernel's types in {VMLINUX}"))
    }

    fn find(data: Vec<u8>) -> anyhow::Result<Self> {
        let btf = Btf::parse(data)?;
        Ok(Self {
            task_tgid: btf.offset("task_struct", "tgid")?,
            task_comm: btf.offset("task_struct", "comm")?,
            task_mm: btf.offset("task_struct", "mm")?,
            mm_exe_file: btf.offset("mm_struct", "exe_file")?,
            file_inode: btf.offset("file", "f_inode")?,
            inode_number: btf.offset("inode", "i_ino")?,
            inode_superblock: btf.offset("inode", "i_sb")?,
            superblock_device: btf.offset("super_block", "s_dev")?,
            socket_sk: btf.offset("socket", "sk")?,
            sock_socket: btf.offset("sock", "sk_socket")?,
            socket_inode_number: btf
                .offset("socket_alloc", "vfs_inode.i_ino")?
                .checked_sub(btf.offset("socket_alloc", "socket")?)
                .context("`struct socket_alloc` has the inode before the socket")?,
            sock_netns: btf.offset("sock", "__sk_common.skc_net.net")?,
            net_cookie: btf.offset("net", "net_cookie")?,
            sock_uid: btf.offset("sock", "sk_uid")?,
            sock_cgroup: btf.offset("sock", "sk_cgrp_data.cgroup")?,
            cgroup_kernfs: btf.offset("cgroup", "kn")?,
            kernfs_id: btf.offset("kernfs_node", "id")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_them_all() {
        let offsets = KernelOffsets::read().expect("the kernel's types");
        // `__sk_common` is the first of struct sock, and its first 16 bytes are addresses, hash and ports.
        assert!((16..256).contains(&offsets.sock_netns), "{offsets:?}");
        // `struct socket` begins with state, type and flags.
        assert!((8..64).contains(&offsets.socket_sk), "{offsets:?}");
        let aligned = [
            offsets.task_mm,
            offsets.mm_exe_file,
            offsets.file_inode,
            offsets.sock_netns,
            offsets.kernfs_id,
        ];
        assert!(aligned.iter().all(|offset| offset % 8 == 0), "{offsets:?}");
        let apart = [offsets.task_tgid, offsets.task_comm, offsets.task_mm];
        assert!(apart.iter().all(|offset| *offset > 0), "{offsets:?}");
        assert!(
            offsets.task_tgid.is_multiple_of(4) && offsets.task_tgid != offsets.task_comm,
            "{offsets:?}"
        );
    }

    #[test]
    fn a_kernel_with_other_types_is_told() {
        let error = KernelOffsets::find(vec![0; 64]).expect_err("no BTF");
        assert_eq!(
            error.to_string(),
            "it is not BTF of this machine's byte order"
        );
    }
}
