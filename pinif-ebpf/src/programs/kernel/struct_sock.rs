//! What the kernel keeps of a socket (`struct sock`), by its address: also of one that no hook is called for, and that no helper describes.

use pinif_ebpf::key::IfIndex;

use super::{
    offset,
    read::{follow, read, read_into},
    sock::SOCK_RAW,
};

/// `SOCK_BINDPORT_LOCK` (include/net/sock.h).
const SOCK_BINDPORT_LOCK: u8 = 8;

/// Whether a full socket is the kernel's own: it has a `struct socket`, and no process has a file of it
/// (`sock_create_kern`). A connection that waits for `accept()`, or that was closed, has neither.
#[inline(always)]
pub fn is_kernels(sock: u64, kind: u32) -> bool {
    match follow(sock, offset!(sock_socket)) {
        Some(socket) => follow(socket, offset!(socket_file)).is_none(),
        None => kind == SOCK_RAW,
    }
}

/// The cookie of a socket in any state, which no helper gives of one that was looked up; zero if nobody has asked for it.
#[inline(always)]
pub fn cookie_of(sock: u64) -> u64 {
    read::<u64>(sock, offset!(sock_cookie)).unwrap_or_default()
}

/// The device that a socket in any state is bound to, as [`Sock::bound_device`](super::sock::Sock::bound_device).
#[inline(always)]
pub fn bound_device_of(sock: u64) -> IfIndex {
    IfIndex(read::<u32>(sock, offset!(sock_bound_device)).unwrap_or_default())
}

/// Whether `bind()` named the port of a full socket (`sk_userlocks`), and not the kernel chose it. False where that is unknown.
#[inline(always)]
pub fn is_port_of_bind(sock: u64) -> bool {
    let bit = offset!(sock_user_locks);
    let mut byte = 0u8;
    read_into(&mut byte, sock, bit / 8);
    bit != 0 && byte >> (bit % 8) & SOCK_BINDPORT_LOCK != 0
}

/// The user id of a full socket.
#[inline(always)]
pub fn user_of(sock: u64) -> Option<u32> {
    read::<u32>(sock, offset!(sock_uid))
}

/// The inode number of a full socket, by which `/proc/PID/fd` names it; zero if no process holds it.
#[inline(always)]
pub fn inode_of(sock: u64) -> u64 {
    follow(sock, offset!(sock_socket))
        .and_then(|socket| read::<u64>(socket, offset!(socket_inode_number)))
        .unwrap_or_default()
}

/// The socket of a file and its family, both by what the kernel's structures hold; nothing of what is no socket.
#[inline(always)]
pub fn socket_of_file(file: u64) -> Option<(u64, u32)> {
    const S_IFMT: u16 = 0o170_000;
    const S_IFSOCK: u16 = 0o140_000;
    let inode = follow(file, offset!(file_inode))?;
    let mut mode = 0_u16;
    read_into(&mut mode, inode, offset!(inode_mode));
    if mode & S_IFMT != S_IFSOCK {
        return None;
    }
    // A socket in a file system is opened by `O_PATH` alone, which leaves this null.
    let socket = follow(file, offset!(file_private))?;
    let sock = follow(socket, offset!(socket_sock))?;
    let family = read::<u16>(sock, offset!(sock_family))?;
    Some((sock, family.into()))
}

/// Of sockets that can send past TC egress.
pub mod bypass {
    use pinif_ebpf::{
        bypass::{AF_PACKET, AF_XDP},
        key::IfIndex,
    };

    use super::super::{
        offset,
        read::{follow, read},
    };

    /// The interface that a packet socket (`packet_sock.ifindex`) or an AF_XDP socket (`xdp_sock.dev`) is bound to.
    #[inline(always)]
    pub fn interface(sock: u64, family: u32) -> IfIndex {
        let index = match family {
            AF_PACKET => read::<u32>(sock, offset!(packet_interface)),
            AF_XDP => follow(sock, offset!(xdp_device))
                .and_then(|device| read::<u32>(device, offset!(device_index))),
            _ => None,
        };
        IfIndex(index.unwrap_or_default())
    }

    /// Whether an AF_XDP socket can send; where this kernel's types do not say, it is taken to.
    #[inline(always)]
    pub fn has_ring_to_send(sock: u64) -> bool {
        offset!(xdp_send_ring) == 0 || follow(sock, offset!(xdp_send_ring)).is_some()
    }
}
