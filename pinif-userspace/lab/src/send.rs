//! Messages as real programs send them: the tests' sender and the demo's leaking daemon.

use std::fs;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::fs::MetadataExt as _;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use socket2::{Domain, Socket, Type};

/// Per-datagram wishes that travel as control messages, beside the socket's own settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// The index of the interface to leave by: `IP_PKTINFO`, `IPV6_PKTINFO` (ip(7), RFC 3542).
    pub packet_info: Option<u32>,
    /// The address to send from, by the same.
    pub source: Option<IpAddr>,
    /// The payload of each datagram that the kernel is to cut the message into: `UDP_SEGMENT` (udp(7)).
    pub segment: Option<u16>,
}

/// Sends one message; the number of bytes taken. A connected socket needs no destination.
pub fn send(
    socket: &Socket,
    payload: &[u8],
    to: Option<SocketAddr>,
    extras: Extras,
) -> io::Result<usize> {
    let v6 = socket.domain()? == Domain::IPV6;
    // The kernel knows the interface by one kind of integer in IPv4, by another in IPv6.
    let index = extras.packet_info.unwrap_or(0);
    let source4 = match extras.source {
        Some(IpAddr::V4(source)) => source.to_bits().to_be(),
        _ => 0,
    };
    let source6 = match extras.source {
        Some(IpAddr::V6(source)) => source.octets(),
        // A packet of IPv4 takes no other (`ip_cmsg_send`).
        _ if to.is_some_and(is_mapped) => Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(),
        _ => [0; 16],
    };
    let info4 = libc::in_pktinfo {
        ipi_ifindex: index.cast_signed(),
        ipi_spec_dst: libc::in_addr { s_addr: source4 },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let info6 = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr { s6_addr: source6 },
        ipi6_ifindex: index,
    };
    let mut control = Vec::new();
    if extras.packet_info.is_some() || extras.source.is_some() {
        control.push(if v6 {
            ControlMessage::Ipv6PacketInfo(&info6)
        } else {
            ControlMessage::Ipv4PacketInfo(&info4)
        });
    }
    if let Some(segment) = &extras.segment {
        control.push(ControlMessage::UdpGsoSegments(segment));
    }
    let to = to.map(SockaddrStorage::from);
    Ok(sendmsg(
        socket.as_raw_fd(),
        &[IoSlice::new(payload)],
        &control,
        MsgFlags::empty(),
        to.as_ref(),
    )?)
}

/// Whether it is an address of IPv4, for a socket of IPv6: ipv6(7).
fn is_mapped(to: SocketAddr) -> bool {
    matches!(to.ip(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// The index of an interface, in the namespace of the calling thread.
pub fn index(device: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(device)?)
}

/// The kernel's name for the network namespace of the calling thread (`SO_NETNS_COOKIE`).
pub fn netns_cookie() -> io::Result<u64> {
    const SO_NETNS_COOKIE: libc::c_int = 71; // asm-generic/socket.h
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of `cookie`, and how many they were to `length`.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if outcome == 0 {
        return Ok(cookie);
    }
    match io::Error::last_os_error() {
        // Before Linux 5.14, pinif takes the number of the inode in its place.
        error if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            Ok(fs::metadata("/proc/thread-self/ns/net")?.st_ino())
        }
        error => Err(error),
    }
}
