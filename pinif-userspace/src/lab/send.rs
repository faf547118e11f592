//! Sockets that send as real programs do, and as they should not: the tests' sender and the demo's leaking daemon.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Per-datagram wishes that travel as control messages, beside the socket's own settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// The index of the interface to leave by: `IP_PKTINFO`, `IPV6_PKTINFO` (ip(7), RFC 3542).
    pub packet_info: Option<u32>,
    /// The payload of each datagram that the kernel is to cut the message into: `UDP_SEGMENT` (udp(7)).
    pub segment: Option<u16>,
}

/// What `make` gives while this thread is another user for the file system (setfsuid(2)), whose a socket made by it then is.
/// As root.
pub fn as_user<T>(user: u32, make: impl FnOnce() -> T) -> T {
    // SAFETY: the call takes a number, and is of this thread alone.
    let before = unsafe { libc::setfsuid(user) };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::setfsuid(before.cast_unsigned()) };
    made
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
    let info4 = libc::in_pktinfo {
        ipi_ifindex: index.cast_signed(),
        ipi_spec_dst: libc::in_addr { s_addr: 0 },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let info6 = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr { s6_addr: [0; 16] },
        ipi6_ifindex: index,
    };
    let mut control = Vec::new();
    if extras.packet_info.is_some() {
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

/// The address with `sin6_scope_id` set: the interface that a link-local destination is on (ipv6(7)). IPv4 has none.
pub fn scoped(address: SocketAddr, index: u32) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(mut v6) => {
            v6.set_scope_id(index);
            v6.into()
        }
    }
}

/// The index of an interface, in the namespace of the calling thread.
pub fn index(device: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(device)?)
}

/// A socket for ICMP echo without privileges (`net.ipv4.ping_group_range`), and the request to send by it; the kernel
/// fills in identifier and checksum.
pub fn ping(v6: bool, size: usize) -> io::Result<(Socket, Vec<u8>)> {
    const ECHO_REQUEST_V4: u8 = 8; // RFC 792
    const ECHO_REQUEST_V6: u8 = 128; // RFC 4443
    const HEADER: usize = 8;
    let (domain, protocol, kind) = if v6 {
        (Domain::IPV6, Protocol::ICMPV6, ECHO_REQUEST_V6)
    } else {
        (Domain::IPV4, Protocol::ICMPV4, ECHO_REQUEST_V4)
    };
    let mut request = vec![0; HEADER + size];
    request[0] = kind;
    Ok((Socket::new(domain, Type::DGRAM, Some(protocol))?, request))
}

/// A packet socket that sends whole frames by the interface with this index (packet(7)), and receives none.
pub fn packet_socket(index: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    // SAFETY: the storage that socket2 hands out is zeroed, aligned and large enough for every kind of address;
    // `sockaddr_ll` is plain data. The length set is that of what was written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, written| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = libc::AF_PACKET as u16;
            (*link).sll_ifindex = index.cast_signed();
            *written = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    }?;
    socket.bind(&address)?;
    Ok(socket)
}

/// Sets an integer option that socket2 has no name for.
pub fn set_option(
    socket: &Socket,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set_bytes(socket, level, name, &value.to_ne_bytes())
}

/// Sets an option that is a run of bytes, such as IPv6 extension headers.
pub fn set_bytes(
    socket: &Socket,
    level: libc::c_int,
    name: libc::c_int,
    value: &[u8],
) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of one slice, which the kernel only reads.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
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
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}
