//! Sockets for the tests' sender and the benchmarks: another user's, packet sockets, and options that socket2 has no name for.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

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

/// What a thread of this user makes: who is connected to takes it for that user's (`SO_PEERCRED`, unix(7)).
///
/// # Panics
///
/// When this process may not become another user.
pub fn as_peer<T: Send>(user: u32, make: impl FnOnce() -> T + Send) -> T {
    let thread = || {
        let keep = libc::uid_t::MAX;
        // SAFETY: the call takes numbers. Without the C library's wrapper, it is of this thread alone (setresuid(2)).
        let set = unsafe { libc::syscall(libc::SYS_setresuid, keep, user, keep) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
        make()
    };
    let made = std::thread::scope(|scope| scope.spawn(thread).join());
    made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
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
    packet_socket_of(index, 0)
}

/// The same, of whose frames the kernel is given this ethertype; zero is what they say themselves. It receives those of another.
pub fn packet_socket_of(index: u32, ethertype: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    // SAFETY: the storage that socket2 hands out is zeroed, aligned and large enough for every kind of address;
    // `sockaddr_ll` is plain data. The length set is that of what was written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, written| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = libc::AF_PACKET as u16;
            (*link).sll_protocol = ethertype.to_be();
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
