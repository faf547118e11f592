//! What names a network namespace: its cookie, or the number of its inode where the kernel gives processes no cookies.
//!
//! A cookie is unique until the next boot. An inode's number may be used again once the namespace is gone; that of one that is
//! audited is not, since the auditor holds it open.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

use nix::{
    errno::Errno,
    getsockopt_impl, ioctl_none_bad, libc, sockopt_impl,
    sys::{
        socket::{AddressFamily, SockFlag, SockType, getsockopt, socket},
        stat::fstat,
    },
};
use pinif_ebpf::key::NetNsCookie;

/// `SO_NETNS_COOKIE` of asm-generic/socket.h, since Linux 5.14.
const SO_NETNS_COOKIE: libc::c_int = 71;
/// `SIOCGSKNS` of linux/sockios.h, since Linux 4.10.
const SIOCGSKNS: libc::c_ulong = 0x894c;

sockopt_impl!(
    /// The cookie of the namespace that a socket belongs to.
    CookieOption, GetOnly, libc::SOL_SOCKET, SO_NETNS_COOKIE, u64
);
ioctl_none_bad!(
    /// A descriptor of the namespace that a socket belongs to (`sock_ioctl` in net/socket.c).
    namespace_of,
    SIOCGSKNS
);

/// What names the namespace that a socket belongs to.
///
/// # Errors
/// The kernel's: `EPERM` without `CAP_NET_ADMIN` there, where it has no cookies.
pub fn of_socket(socket: &impl AsFd) -> io::Result<NetNsCookie> {
    match getsockopt(socket, CookieOption) {
        Err(Errno::ENOPROTOOPT) => inode_of(socket),
        cookie => Ok(NetNsCookie(cookie?)),
    }
}

/// What names the calling thread's namespace.
///
/// # Errors
/// As of [`of_socket`].
pub fn of_thread() -> io::Result<NetNsCookie> {
    of_socket(&any_socket()?)
}

/// Whether inodes stand for the cookies on this kernel.
///
/// # Errors
/// Where no socket can be made.
pub fn is_inode() -> io::Result<bool> {
    Ok(getsockopt(&any_socket()?, CookieOption) == Err(Errno::ENOPROTOOPT))
}

fn any_socket() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Unix,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}

fn inode_of(socket: &impl AsFd) -> io::Result<NetNsCookie> {
    // SAFETY: the call takes no memory of this process.
    let descriptor = unsafe { namespace_of(socket.as_fd().as_raw_fd()) }?;
    // SAFETY: the kernel has made it for this call, and nobody else knows it.
    let namespace = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Ok(NetNsCookie(fstat(&namespace)?.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::linux::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_sockets_namespace_has_the_inode_that_its_process_shows() {
        let socket = any_socket().expect("a socket");
        let shown = fs::metadata("/proc/thread-self/ns/net").expect("/proc is mounted");
        let inode = inode_of(&socket).expect("this needs CAP_NET_ADMIN");
        assert_eq!(inode.0, shown.st_ino());
    }
}
