//! Sockets that send past TC egress: packet sockets with `PACKET_QDISC_BYPASS` (packet(7)), and AF_XDP sockets.
//!
//! The kernel's list has every packet socket. Whether one bypasses, the socket itself is asked for: a copy of its descriptor
//! is taken (pidfd_getfd(2)), since no diagnosis shows it (`PDI_*` of linux/packet_diag.h).

use std::{fs, io, os::fd::OwnedFd};

use nix::{
    getsockopt_impl, setsockopt_impl, sockopt_impl,
    sys::{socket::getsockopt, stat::fstat},
};
use pinif_ebpf::{
    bypass::{AF_PACKET, AF_XDP, Bypass, NO_DESCRIPTOR},
    key::{IfIndex, SocketCookie},
};
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use socket2::SockRef;

use crate::host::{
    netns::NetNs,
    pid_namespace,
    processes::{ProcessId, descriptor_of},
};

/// `PACKET_QDISC_BYPASS` (linux/if_packet.h).
const PACKET_QDISC_BYPASS: libc::c_int = 20;
/// `SO_COOKIE` (asm-generic/socket.h).
const SO_COOKIE: libc::c_int = 57;

sockopt_impl!(
    /// Whether a packet socket sends past the queueing disciplines.
    QdiscBypass,
    Both,
    libc::SOL_PACKET,
    PACKET_QDISC_BYPASS,
    libc::c_int
);
sockopt_impl!(
    /// A socket's cookie.
    Cookie,
    GetOnly,
    libc::SOL_SOCKET,
    SO_COOKIE,
    u64
);

/// A way past TC egress that a socket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BypassMethod {
    /// A packet socket's, by `PACKET_QDISC_BYPASS`.
    QdiscBypass,
    /// An AF_XDP socket's.
    Xdp,
}

impl BypassMethod {
    /// A number that no other has, for what is kept beyond this process.
    pub const fn number(self) -> u8 {
        match self {
            Self::QdiscBypass => 1,
            Self::Xdp => 2,
        }
    }

    /// The way of a family's sockets; none of a family that has none.
    pub fn of_family(family: u32) -> Option<Self> {
        match family {
            AF_PACKET => Some(Self::QdiscBypass),
            AF_XDP => Some(Self::Xdp),
            _ => None,
        }
    }
}

/// What a socket says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether it sends past TC egress.
    pub bypasses: bool,
    /// The interface that it is bound to; none if each packet names its own.
    pub interface: Option<IfIndex>,
    /// Its cookie.
    pub cookie: SocketCookie,
}

/// Whether there is a packet socket in the calling thread's namespace (`packet_seq_show`). No hook sees what a 32-bit system call asks of it
/// (`in_compat_syscall` in `do_sock_setsockopt`).
///
/// # Errors
/// Where there is no `/proc`.
pub fn has_packet_socket() -> io::Result<bool> {
    Ok(!packet_sockets()?.is_empty())
}

/// The packet sockets of a namespace that the kernel's list lacks: it has those of the processes in this PID namespace
/// (`bpf_iter_task_file`), and where that is the initial one, all. Nobody can be asked for them.
///
/// # Errors
/// Where the namespace cannot be entered, or there is no `/proc`.
pub fn unlisted(netns: &NetNs, listed: &[Bypass]) -> io::Result<Vec<Bypass>> {
    if pid_namespace::is_initial() {
        return Ok(Vec::new());
    }
    let mut all = netns.run(packet_sockets)??;
    all.retain(|(inode, _)| listed.iter().all(|listed| listed.inode != *inode));
    let unlisted = |(inode, interface)| Bypass {
        netns: netns.cookie,
        inode,
        family: AF_PACKET,
        descriptor: NO_DESCRIPTOR,
        interface,
        ..Bypass::default()
    };
    Ok(all.into_iter().map(unlisted).collect())
}

/// The inode of each packet socket of the calling thread's namespace, and the interface that it is bound to.
fn packet_sockets() -> io::Result<Vec<(u64, IfIndex)>> {
    let table = fs::read_to_string("/proc/thread-self/net/packet")?;
    Ok(table.lines().filter_map(packet_socket).collect())
}

/// Its ninth field and its fifth; none of the heading.
fn packet_socket(line: &str) -> Option<(u64, IfIndex)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let inode = fields.get(8)?.parse().ok()?;
    Some((inode, IfIndex(fields[4].parse().ok()?)))
}

/// Asks a socket of the kernel's list. Nothing, if it is not there any more.
///
/// # Errors
/// Where the process may not be looked into (ptrace(2), `PTRACE_MODE_ATTACH_REALCREDS`), or is not in the PID namespace of `/proc`.
pub fn state(socket: &Bypass) -> io::Result<Option<State>> {
    let Some(copy) = copy(socket)? else {
        return Ok(None);
    };
    let listed = Some(socket.interface).filter(|index| index.is_some());
    let cookie = SocketCookie(getsockopt(&copy, Cookie)?);
    let state = match socket.family {
        AF_PACKET => State {
            bypasses: getsockopt(&copy, QdiscBypass)? != 0,
            interface: bound_to(&copy)?.or(listed),
            cookie,
        },
        _ => State {
            bypasses: true,
            interface: listed,
            cookie,
        },
    };
    Ok(Some(state))
}

/// A copy of a socket, if the process still has it where it was.
///
/// # Errors
/// As of [`state`].
pub fn copy(socket: &Bypass) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Some(socket.owner.pid).filter(|&pid| pid != 0) else {
        return Err(io::Error::other("it is not in the PID namespace of /proc"));
    };
    if socket.descriptor == NO_DESCRIPTOR {
        return Ok(None);
    }
    let started = socket.owner.started;
    let Some(process) = descriptor_of(ProcessId { pid, started })? else {
        return Ok(None);
    };
    let taken = pidfd_getfd(
        process,
        socket.descriptor.cast_signed(),
        PidfdGetfdFlags::empty(),
    );
    let copy = match taken {
        Ok(copy) => copy,
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::BADF) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // The number may be another file's by now.
    let is_same = fstat(&copy)?.st_ino == socket.inode;
    Ok(is_same.then_some(copy))
}

/// The kernel gives as much of the address as the interface's type needs (`packet_getname`), so it is read as it is.
fn bound_to(socket: &OwnedFd) -> io::Result<Option<IfIndex>> {
    let name = SockRef::from(socket).local_addr()?;
    // SAFETY: the storage has room for any address, is aligned for it, and is zero behind what the kernel wrote.
    let link = unsafe { name.as_ptr().cast::<libc::sockaddr_ll>().read() };
    let index = IfIndex(link.sll_ifindex.cast_unsigned());
    Ok(Some(index).filter(|index| index.is_some()))
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsRawFd as _, process};

    use pinif_ebpf::intent::Owner;
    use pinif_lab::socket::set_option;
    use socket2::{Domain, Socket, Type};

    use super::*;

    fn listed(socket: &Socket) -> Bypass {
        Bypass {
            owner: Owner {
                pid: process::id(),
                ..Owner::default()
            },
            inode: fstat(socket).expect("a socket").st_ino,
            family: AF_PACKET,
            descriptor: socket.as_raw_fd().cast_unsigned(),
            ..Bypass::default()
        }
    }

    #[test]
    fn a_packet_socket_says_whether_it_bypasses() {
        // With no protocol it receives nothing, and it is bound to no interface.
        let Ok(socket) = Socket::new(Domain::PACKET, Type::RAW, None) else {
            return eprintln!("SKIPPED: packet sockets want CAP_NET_RAW");
        };
        let listed = listed(&socket);
        let before = state(&listed).expect("this process").expect("a socket");
        assert_eq!((before.bypasses, before.interface), (false, None));
        assert_eq!(before.cookie.0, socket.cookie().expect("a cookie"));
        set_option(&socket, libc::SOL_PACKET, PACKET_QDISC_BYPASS, 1).expect("an option");
        let after = state(&listed).expect("this process").expect("a socket");
        assert!(after.bypasses);
        // Another file has the number.
        let other = Bypass {
            inode: listed.inode + 1,
            ..listed
        };
        assert_eq!(state(&other).expect("this process"), None);
        // Another process has the number.
        let mut ended = listed;
        ended.owner.started = 1;
        assert_eq!(state(&ended).expect("it is not asked"), None);
        // Of one that has no number here, nothing is known.
        let mut elsewhere = listed;
        elsewhere.owner.pid = 0;
        state(&elsewhere).expect_err("it cannot be asked");
        drop(socket);
        assert_eq!(state(&listed).expect("this process"), None);
    }

    #[test]
    fn packet_sockets_are_read_as_the_kernel_writes_them() {
        let heading = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode";
        let socket = "0000000000000000 3      3    0003   5     1 0      0      41234 ";
        assert_eq!(packet_socket(heading), None);
        assert_eq!(packet_socket(socket), Some((41_234, IfIndex(5))));
        let Ok(socket) = packet_socket_at_loopback() else {
            return eprintln!("SKIPPED: packet sockets want CAP_NET_RAW");
        };
        let inode = fstat(&socket).expect("a socket").st_ino;
        let all = packet_sockets().expect("/proc");
        assert!(all.contains(&(inode, IfIndex::LOOPBACK)), "{all:?}");
    }

    fn packet_socket_at_loopback() -> io::Result<Socket> {
        pinif_lab::socket::packet_socket(IfIndex::LOOPBACK.0)
    }

    #[test]
    fn a_packet_socket_knows_its_interface() {
        let loopback = IfIndex::LOOPBACK;
        let Ok(socket) = packet_socket_at_loopback() else {
            return eprintln!("SKIPPED: packet sockets want CAP_NET_RAW");
        };
        let state = state(&listed(&socket)).expect("this process");
        assert_eq!(state.expect("a socket").interface, Some(loopback));
    }
}
