//! What `sock_diag` does not say of a socket: it is asked of a copy of the process's descriptor (pidfd_getfd(2)), which is closed
//! again.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

use nix::sys::socket::{setsockopt, sockopt::Ipv4PacketInfo};
use pinif_ebpf::key::IfIndex;
use rustix::{
    fs::fstat,
    process::{PidfdGetfdFlags, pidfd_getfd},
};
use socket2::{SockRef, Type};

use super::processes::{ProcessId, descriptor_of, held_by};

/// The interfaces that a socket's options name for what it sends while it is bound to no device. TCP looks at none of them
/// (`udp_sendmsg`, `udpv6_sendmsg`, `raw_sendmsg`, `rawv6_sendmsg`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamedInterfaces {
    /// `IP_UNICAST_IF` (ip(7)).
    pub ipv4_unicast: Option<IfIndex>,
    /// `IPV6_UNICAST_IF`.
    pub ipv6_unicast: Option<IfIndex>,
    /// `IPV6_MULTICAST_IF` (ipv6(7)).
    pub ipv6_multicast: Option<IfIndex>,
    /// `IP_MULTICAST_IF`, where it was given an address of the interface: the kernel does not say the index, and sends from that address.
    pub ipv4_multicast: Option<Ipv4Addr>,
    /// The kernel says to the program for which address of IPv4 each datagram came (`IP_PKTINFO` or `IPV6_RECVPKTINFO` as an option), which is
    /// what programs do that answer from that address.
    pub ipv4_packet_info: bool,
    /// The same of IPv6.
    pub ipv6_packet_info: bool,
    /// The program writes the IP header itself, and the source address in that (`IP_HDRINCL`, raw(7); `IPV6_HDRINCL`).
    pub writes_header: bool,
    /// It may send from an address that no interface has (`IP_TRANSPARENT`, `IPV6_TRANSPARENT`).
    pub is_transparent: bool,
    /// It may be bound to such an address (`IP_FREEBIND`, `IPV6_FREEBIND`); of IPv6, it sends from that as well.
    pub binds_freely: bool,
}

impl NamedInterfaces {
    /// Asks a socket. An option that it does not have names none.
    pub fn of(socket: BorrowedFd<'_>) -> Self {
        // Two of them are kept in network byte order (`do_ip_getsockopt`, `do_ipv6_getsockopt`).
        let big_endian =
            |index: u32| Some(IfIndex(u32::from_be(index))).filter(|index| index.is_some());
        let native = |index: u32| Some(IfIndex(index)).filter(|index| index.is_some());
        let asked = |level, name| option(socket, level, name);
        Self {
            ipv4_unicast: asked(libc::IPPROTO_IP, IP_UNICAST_IF).and_then(big_endian),
            ipv6_unicast: asked(libc::IPPROTO_IPV6, IPV6_UNICAST_IF).and_then(big_endian),
            ipv6_multicast: asked(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF).and_then(native),
            ipv4_multicast: asked(libc::IPPROTO_IP, libc::IP_MULTICAST_IF)
                .map(|address| Ipv4Addr::from(address.to_ne_bytes()))
                .filter(|address| !address.is_unspecified()),
            ipv4_packet_info: flag(socket, libc::IPPROTO_IP, libc::IP_PKTINFO),
            ipv6_packet_info: flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            writes_header: flag(socket, libc::IPPROTO_IP, libc::IP_HDRINCL)
                || flag(socket, libc::IPPROTO_IPV6, libc::IPV6_HDRINCL),
            // Each option is the same of both families (`do_ipv6_getsockopt`), and a socket of IPv4 does not know IPv6's.
            is_transparent: flag(socket, libc::IPPROTO_IP, libc::IP_TRANSPARENT),
            binds_freely: flag(socket, libc::IPPROTO_IP, libc::IP_FREEBIND),
        }
    }

    /// Whether the program may name the source of what it sends to an address of this family.
    pub fn may_name_source(&self, is_ipv6: bool) -> bool {
        if is_ipv6 {
            self.ipv6_packet_info
        } else {
            self.ipv4_packet_info
        }
    }

    /// The address of an interface that is named by it for a destination, and the option that names it.
    pub fn toward_by_address(&self, to: IpAddr) -> Option<(IpAddr, &'static str)> {
        let is_group = to.is_ipv4() && to.is_multicast();
        let address = self.ipv4_multicast.filter(|_| is_group)?;
        Some((address.into(), "IP_MULTICAST_IF"))
    }

    /// The interface that is named for a destination by its index, and the option that names it.
    pub fn toward(&self, to: IpAddr) -> Option<(IfIndex, &'static str)> {
        let (index, option) = match to {
            IpAddr::V4(to) if to.is_multicast() => return None,
            IpAddr::V4(_) => (self.ipv4_unicast, "IP_UNICAST_IF"),
            IpAddr::V6(to) if to.is_multicast() => (self.ipv6_multicast, "IPV6_MULTICAST_IF"),
            IpAddr::V6(_) => (self.ipv6_unicast, "IPV6_UNICAST_IF"),
        };
        Some((index?, option))
    }
}

/// linux/in.h and linux/in6.h.
const IP_UNICAST_IF: libc::c_int = 50;
const IPV6_UNICAST_IF: libc::c_int = 76;

/// An option of four bytes; none that the socket does not have.
fn option(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> Option<u32> {
    let mut value = 0u32;
    let mut length = size_of::<u32>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as it is borrowed, and the kernel writes at most `length` bytes to the value.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    (outcome == 0 && length == 4).then_some(value)
}

/// Whether an option of a truth value is set; one that the socket does not have is not.
fn flag(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> bool {
    option(socket, level, name).is_some_and(|value| value != 0)
}

/// How many descriptors of a process are looked at for one socket: a millisecond's worth, where somebody waits.
const MANY: usize = 1024;

/// Asks one socket, by its inode and a process that has it, for the interfaces that it names. Nothing where it may not be asked (ptrace(2),
/// `PTRACE_MODE_ATTACH_REALCREDS`), is closed by now, or is not among the first thousand descriptors of the process.
pub fn named_interfaces_of(inode: u64, process: ProcessId) -> Option<NamedInterfaces> {
    let found = asked(process, &[inode], MANY, NamedInterfaces::of);
    found.into_iter().next().map(|(_, named)| named)
}

/// The interface by which a connection that was accepted arrived: its handshake's last packet (`tcp_v4_syn_recv_sock`,
/// `tcp_v6_syn_recv_sock`). Nothing of one that was made from here, and where it may not be asked, as above.
pub fn accepted_by(inode: u64, process: ProcessId) -> Option<IfIndex> {
    let found = asked(process, &[inode], usize::MAX, accepted);
    found.into_iter().next().and_then(|(_, by)| by)
}

/// Whether a process listens at a port of TCP, or has a connection there that it accepted: what it sends from that port answers whoever
/// connected. Not where its sockets may not be asked, as above, or are closed by now.
pub fn serves(port: u16, process: ProcessId) -> bool {
    copies(process, MANY, |_| true).any(|(_, socket)| is_of_server(socket.as_fd(), port))
}

/// Whether a socket listens at a port of TCP, or is a connection there that was accepted.
fn is_of_server(socket: BorrowedFd<'_>, port: u16) -> bool {
    let asked = SockRef::from(&socket);
    let is_tcp = asked.r#type().is_ok_and(|kind| kind == Type::STREAM);
    let local = asked.local_addr().ok().and_then(|local| local.as_socket());
    is_tcp
        && local.is_some_and(|local| local.port() == port)
        && (flag(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN) || accepted(socket).is_some())
}

/// Asks a connection of TCP.
fn accepted(socket: BorrowedFd<'_>) -> Option<IfIndex> {
    // Of an `AF_INET6` socket it is the interface for groups, which TCP has no other use for.
    if let Some(index) = option(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF) {
        return Some(IfIndex(index)).filter(|index| index.is_some());
    }
    // Of an `AF_INET` one it is said where the socket asks for it; TCP makes nothing else of this.
    let asks = option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO)? != 0;
    let ask = |whether| setsockopt(&socket, Ipv4PacketInfo, &whether);
    if !asks && ask(true).is_err() {
        return None;
    }
    let by = packet_info(socket);
    if !asks {
        let _ = ask(false);
    }
    by.filter(|index| index.is_some())
}

/// `IP_PKTOPTIONS` (linux/in.h).
const IP_PKTOPTIONS: libc::c_int = 9;

/// The interface of `IP_PKTINFO`, as `do_ip_getsockopt` gives it for a stream: in a control message.
fn packet_info(socket: BorrowedFd<'_>) -> Option<IfIndex> {
    let mut control = [0u64; 32];
    let mut length = size_of_val(&control) as libc::socklen_t;
    // SAFETY: the descriptor is open as long as it is borrowed, and the kernel writes at most `length` bytes there.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            IP_PKTOPTIONS,
            control.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if outcome != 0 {
        return None;
    }
    // SAFETY: all zeros is one without messages.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = length as _;
    // SAFETY: the header leads to as many bytes as the kernel wrote, aligned as a message is, and each is read within them.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(&raw const message);
        while let Some(header) = next.as_ref() {
            if (header.cmsg_level, header.cmsg_type) == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
                let info: libc::in_pktinfo = libc::CMSG_DATA(next)
                    .cast::<libc::in_pktinfo>()
                    .read_unaligned();
                return u32::try_from(info.ipi_ifindex).ok().map(IfIndex);
            }
            next = libc::CMSG_NXTHDR(&raw const message, next);
        }
    }
    None
}

/// Asks many sockets, each by its inode and a process that has it. Those that may not be asked, or are closed by now, are not in the
/// answer.
pub fn named_interfaces(sockets: &HashMap<u64, ProcessId>) -> HashMap<u64, NamedInterfaces> {
    let mut by_process: HashMap<ProcessId, Vec<u64>> = HashMap::new();
    for (inode, process) in sockets {
        by_process.entry(*process).or_default().push(*inode);
    }
    let by_process = by_process.into_iter();
    by_process
        .flat_map(|(process, inodes)| asked(process, &inodes, usize::MAX, NamedInterfaces::of))
        .collect()
}

/// The same of sockets of one process, among the first descriptors that it has.
fn asked<T>(
    process: ProcessId,
    inodes: &[u64],
    most: usize,
    ask: impl Fn(BorrowedFd<'_>) -> T,
) -> HashMap<u64, T> {
    let mut found = HashMap::new();
    for (inode, socket) in copies(process, most, |inode| inodes.contains(&inode)) {
        found.entry(inode).or_insert_with(|| ask(socket.as_fd()));
        if found.len() == inodes.len() {
            break;
        }
    }
    found
}

/// Copies of the descriptors of a process's sockets, as far as they may be asked, each with its inode: of those that are wanted, and among
/// the first descriptors that it has.
fn copies(
    process: ProcessId,
    most: usize,
    is_wanted: impl Fn(u64) -> bool,
) -> impl Iterator<Item = (u64, OwnedFd)> {
    let descriptor = descriptor_of(process).ok().flatten();
    let all = descriptor.is_some().then(|| held_by(process.pid, most));
    let wanted = all
        .into_iter()
        .flatten()
        .filter(move |(_, inode)| is_wanted(*inode));
    wanted.filter_map(move |(number, inode)| {
        let socket = pidfd_getfd(descriptor.as_ref()?, number, PidfdGetfdFlags::empty()).ok()?;
        // Another may have the number by now.
        let is_it = fstat(&socket).is_ok_and(|status| status.st_ino == inode);
        is_it.then_some((inode, socket))
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn a_listener_and_what_it_accepted_are_of_a_server_and_no_other() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(at).expect("a listener");
            let server = listener.local_addr().expect("it has one");
            let client = TcpStream::connect(server).expect("it listens");
            let own = client.local_addr().expect("it has one").port();
            let (accepted, _) = listener.accept().expect("a connection");
            assert!(is_of_server(listener.as_fd(), server.port()), "{at}");
            assert!(is_of_server(accepted.as_fd(), server.port()), "{at}");
            assert!(!is_of_server(listener.as_fd(), own), "{at}");
            assert!(!is_of_server(client.as_fd(), own), "{at}");
        }
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let port = datagrams.local_addr().expect("it has one").port();
        assert!(!is_of_server(datagrams.as_fd(), port));
    }

    #[test]
    fn a_socket_is_asked_what_it_names() {
        let v4 = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let v6 = UdpSocket::bind("[::1]:0").expect("a socket");
        assert_eq!(NamedInterfaces::of(v4.as_fd()), NamedInterfaces::default());
        let set = |socket: &UdpSocket, level, name, value: u32| {
            let value = &raw const value;
            // SAFETY: the value is there for the call, with the length that is given.
            let outcome =
                unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.cast(), 4) };
            assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
        };
        set(&v4, libc::IPPROTO_IP, IP_UNICAST_IF, 1u32.to_be());
        set(&v6, libc::IPPROTO_IPV6, IPV6_UNICAST_IF, 1u32.to_be());
        set(&v6, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, 1);
        let lo = Some(IfIndex::LOOPBACK);
        let of_v4 = NamedInterfaces {
            ipv4_unicast: lo,
            ..NamedInterfaces::default()
        };
        let of_v6 = NamedInterfaces {
            ipv6_unicast: lo,
            ipv6_multicast: lo,
            ..NamedInterfaces::default()
        };
        assert_eq!(NamedInterfaces::of(v4.as_fd()), of_v4);
        assert_eq!(NamedInterfaces::of(v6.as_fd()), of_v6);
        let own = Ipv4Addr::LOCALHOST;
        let address = u32::from_ne_bytes(own.octets());
        set(&v4, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, address);
        let by_address = NamedInterfaces::of(v4.as_fd());
        let with_address = NamedInterfaces {
            ipv4_multicast: Some(own),
            ..of_v4
        };
        assert_eq!(by_address, with_address);
        let (group, other) = (IpAddr::from([239, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(
            by_address.toward_by_address(group),
            Some((own.into(), "IP_MULTICAST_IF"))
        );
        assert_eq!(by_address.toward_by_address(other), None);
        let option = |named: NamedInterfaces, to: &str| {
            let named = named.toward(to.parse().expect("an address"));
            named.map(|(_, option)| option)
        };
        assert_eq!(option(of_v4, "10.0.0.1"), Some("IP_UNICAST_IF"));
        assert_eq!(option(of_v4, "239.0.0.1"), None);
        for (socket, level, name) in [
            (&v4, libc::IPPROTO_IP, libc::IP_PKTINFO),
            (&v6, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        ] {
            set(socket, level, name, 1);
            let asked = NamedInterfaces::of(socket.as_fd());
            let is_ipv6 = level == libc::IPPROTO_IPV6;
            assert!(asked.may_name_source(is_ipv6) && !asked.may_name_source(!is_ipv6));
        }
        assert_eq!(option(of_v4, "fd00::1"), None);
        assert_eq!(option(of_v6, "fd00::1"), Some("IPV6_UNICAST_IF"));
        assert_eq!(option(of_v6, "ff02::1"), Some("IPV6_MULTICAST_IF"));
    }
}
