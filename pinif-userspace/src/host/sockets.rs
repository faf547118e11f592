//! The sockets that a namespace has, as `sock_diag` lists them (sock_diag(7)).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    ops::ControlFlow,
};

use netlink_packet_core::{Emitable, NlasIterator, Parseable, parse_u32, parse_u64};
use netlink_packet_sock_diag::{
    SOCK_DIAG_BY_FAMILY,
    inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags},
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use pinif_ebpf::key::{IfIndex, SocketCookie};

use super::{netlink::Requester, netns::NetNs, socket_options::NamedInterfaces};

const TCP: u8 = libc::IPPROTO_TCP as u8;
const UDP: u8 = libc::IPPROTO_UDP as u8;
/// How `sock_diag` calls raw sockets of every protocol.
const RAW: u8 = libc::IPPROTO_RAW as u8;
const INET: u8 = libc::AF_INET as u8;
const INET6: u8 = libc::AF_INET6 as u8;
const PACKET: u8 = libc::AF_PACKET as u8;

/// `struct inet_diag_msg`; attributes follow.
const INET_HEADER: usize = 72;
/// Attributes that the kernel adds unasked (linux/inet_diag.h).
const INET_DIAG_MARK: u16 = 15;
const INET_DIAG_CGROUP_ID: u16 = 21;

/// An IP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagSocket {
    /// Its cookie.
    pub cookie: SocketCookie,
    /// Its inode, by which /proc/PID/fd names it; zero where no process holds it (time-wait and request sockets).
    pub inode: u64,
    /// The user that made it.
    pub uid: u32,
    /// `AF_INET` or `AF_INET6`. An `AF_INET6` socket may speak IPv4: its addresses show it.
    pub family: u8,
    /// Its IP protocol.
    pub protocol: u8,
    /// Whether it is a raw socket (raw(7)).
    pub raw: bool,
    /// What it is bound to. Raw sockets have no port.
    pub local: SocketAddr,
    /// What it is connected to; unspecified where it is not.
    pub remote: SocketAddr,
    /// The device that it is bound to (`sk_bound_dev_if`).
    pub device: Option<IfIndex>,
    /// Its state (`TCP_ESTABLISHED`, …); other protocols use `TCP_CLOSE` for not connected.
    pub state: u8,
    /// Its mark (`SO_MARK`), where the kernel shows it (it wants CAP_NET_ADMIN).
    pub mark: u32,
    /// The cgroup v2 that it was made in, by id, from Linux 5.9.
    pub cgroup: Option<u64>,
    /// The interfaces that its options name; none where it was not asked for them ([`super::socket_options`]).
    pub named: Option<NamedInterfaces>,
}

impl DiagSocket {
    /// The interface that one of its options names for a destination, and the option; none of a socket that is bound to a device, or
    /// whose protocol does not look at them.
    pub fn named_toward(&self, to: IpAddr) -> Option<(IfIndex, &'static str)> {
        if self.device.is_some() || !self.looks_at_options() {
            return None;
        }
        self.named.as_ref()?.toward(to)
    }

    /// Whether it looks at the options that name an interface: TCP does not.
    pub fn looks_at_options(&self) -> bool {
        self.raw || i32::from(self.protocol) != libc::IPPROTO_TCP
    }
}

/// A packet socket (packet(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketSocket {
    /// Its cookie.
    pub cookie: SocketCookie,
    /// Its inode.
    pub inode: u64,
    /// The interface that it is bound to (`sll_ifindex`).
    pub device: Option<IfIndex>,
    /// The Ethernet protocol that it receives, in host byte order; zero for a socket that only sends.
    pub protocol: u16,
}

/// Every TCP, UDP and raw socket of a namespace. Raw ones only where the kernel lists them
/// (`CONFIG_INET_RAW_DIAG`).
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses `sock_diag`.
pub fn list(netns: &NetNs) -> io::Result<Vec<DiagSocket>> {
    netns.run(|| {
        let mut all = Vec::new();
        for protocol in [TCP, UDP, RAW] {
            search_inet(protocol, |socket| {
                all.push(socket);
                None::<()>
            })?;
        }
        Ok(all)
    })?
}

/// Every packet socket of a namespace; none where the kernel lists none (`CONFIG_PACKET_DIAG`).
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses `sock_diag`.
pub fn packets(netns: &NetNs) -> io::Result<Vec<PacketSocket>> {
    netns.run(|| {
        let mut all = Vec::new();
        search_packet(|socket| {
            all.push(socket);
            None::<()>
        })?;
        Ok(all)
    })?
}

/// The inode of the socket with this cookie, if the namespace has it and a process holds it.
///
/// `protocol` says where to look first. It reads one socket after the other, for the kernel finds none by cookie alone:
/// about a microsecond for each.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses `sock_diag`.
pub fn inode_of(netns: &NetNs, cookie: SocketCookie, protocol: u8) -> io::Result<Option<u64>> {
    netns.run(|| {
        let mut protocols = [TCP, UDP, RAW];
        protocols.sort_by_key(|candidate| *candidate != protocol);
        let mut inode = None;
        for protocol in protocols {
            if inode.is_none() {
                inode = search_inet(protocol, |socket| {
                    (socket.cookie == cookie).then_some(socket.inode)
                })?;
            }
        }
        if inode.is_none() {
            inode = search_packet(|socket| (socket.cookie == cookie).then_some(socket.inode))?;
        }
        Ok(inode.filter(|inode| *inode != 0))
    })?
}

/// Whether the kernel lists raw sockets.
///
/// # Errors
/// Where the kernel refuses `sock_diag`.
pub fn lists_raw() -> io::Result<bool> {
    known(dump_inet(INET, RAW, |_| ControlFlow::Break(())))
}

/// How many raw sockets a namespace has that [`list`] leaves out, since the kernel does not list them.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses `sock_diag`.
pub fn unlisted_raw(netns: &NetNs) -> io::Result<usize> {
    netns.run(|| {
        if lists_raw()? {
            return Ok(0);
        }
        // A line each, and a heading (`raw_seq_show`, `raw6_seq_show`). A kernel without IPv6 has no second file.
        let lines = |file: &str| {
            let path = format!("/proc/thread-self/net/{file}");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.lines().count().saturating_sub(1)
        };
        Ok(lines("raw") + lines("raw6"))
    })?
}

/// Gives each IP socket of a protocol to `look`, until that finds what it wants.
fn search_inet<T>(
    protocol: u8,
    mut look: impl FnMut(DiagSocket) -> Option<T>,
) -> io::Result<Option<T>> {
    let mut found = None;
    for family in [INET, INET6] {
        if found.is_none() {
            known(dump_inet(family, protocol, |socket| {
                found = look(socket);
                if found.is_some() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            }))?;
        }
    }
    Ok(found)
}

fn dump_inet(
    family: u8,
    protocol: u8,
    mut each: impl FnMut(DiagSocket) -> ControlFlow<()>,
) -> io::Result<()> {
    let request = InetRequest {
        family,
        protocol,
        extensions: ExtensionFlags::empty(),
        // Of TCP's states the library does not know those that came later (bound, but idle).
        states: StateFlags::from_bits_retain(u32::MAX),
        socket_id: if family == INET {
            SocketId::new_v4()
        } else {
            SocketId::new_v6()
        },
    };
    Requester::open(NETLINK_SOCK_DIAG)?.dump(SOCK_DIAG_BY_FAMILY, &request, |_, payload| {
        read_inet(payload, protocol).map_or(ControlFlow::Continue(()), &mut each)
    })
}

/// Whether the kernel has the diagnosis that was asked for. One without lists no sockets, which is no error.
fn known(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOENT | libc::EINVAL | libc::EOPNOTSUPP)
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn read_inet(message: &[u8], asked: u8) -> Option<DiagSocket> {
    let header = InetResponseHeader::parse(message).ok()?;
    let id = header.socket_id;
    let raw = asked == RAW;
    // raw_diag gives the protocol where others have the port (`inet_num`).
    let (protocol, local_port, remote_port) = if raw {
        (id.source_port as u8, 0, 0)
    } else {
        (asked, id.source_port, id.destination_port)
    };
    let end = |address: IpAddr, port| SocketAddr::new(address.to_canonical(), port);
    let mut socket = DiagSocket {
        cookie: SocketCookie(cookie(&id.cookie)?),
        inode: header.inode.into(),
        uid: header.uid,
        family: header.family,
        protocol,
        raw,
        local: end(id.source_address, local_port),
        remote: end(id.destination_address, remote_port),
        device: Some(IfIndex(id.interface_id)).filter(|index| index.is_some()),
        state: header.state,
        mark: 0,
        cgroup: None,
        named: None,
    };
    for nla in NlasIterator::new(message.get(INET_HEADER..)?).map_while(Result::ok) {
        match nla.kind() {
            INET_DIAG_MARK => socket.mark = parse_u32(nla.value()).unwrap_or_default(),
            INET_DIAG_CGROUP_ID => socket.cgroup = parse_u64(nla.value()).ok(),
            _ => {}
        }
    }
    Some(socket)
}

/// A cookie as `sock_diag_save_cookie` writes it: two words, the low one first.
fn cookie(bytes: &[u8]) -> Option<u64> {
    let word = |at: usize| {
        bytes
            .get(at..at + 4)?
            .try_into()
            .ok()
            .map(u32::from_ne_bytes)
    };
    Some(u64::from(word(0)?) | u64::from(word(4)?) << 32)
}

/// `struct packet_diag_req`, asking for everything with `PACKET_SHOW_INFO` (linux/packet_diag.h).
struct PacketRequest;

const PACKET_SHOW_INFO: u8 = 1;
const PACKET_DIAG_INFO: u16 = 0;
/// `struct packet_diag_msg`; attributes follow.
const PACKET_HEADER: usize = 16;

impl Emitable for PacketRequest {
    fn buffer_len(&self) -> usize {
        20
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer.fill(0);
        buffer[0] = PACKET;
        buffer[8..12].copy_from_slice(&u32::from(PACKET_SHOW_INFO).to_ne_bytes());
    }
}

/// Gives each packet socket to `look`, until that finds what it wants.
fn search_packet<T>(mut look: impl FnMut(PacketSocket) -> Option<T>) -> io::Result<Option<T>> {
    let mut found = None;
    known(Requester::open(NETLINK_SOCK_DIAG)?.dump(
        SOCK_DIAG_BY_FAMILY,
        &PacketRequest,
        |_, payload| {
            found = read_packet(payload).and_then(&mut look);
            if found.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    ))?;
    Ok(found)
}

fn read_packet(message: &[u8]) -> Option<PacketSocket> {
    let (header, attributes) = message.split_at_checked(PACKET_HEADER)?;
    let mut socket = PacketSocket {
        cookie: SocketCookie(cookie(&header[8..])?),
        inode: parse_u32(&header[4..8]).ok()?.into(),
        device: None,
        protocol: u16::from_ne_bytes([header[2], header[3]]),
    };
    for nla in NlasIterator::new(attributes).map_while(Result::ok) {
        if nla.kind() == PACKET_DIAG_INFO {
            // pdi_index, the first of struct packet_diag_info.
            let index = nla.value().get(..4).and_then(|index| parse_u32(index).ok());
            socket.device = index.map(IfIndex).filter(|index| index.is_some());
        }
    }
    Some(socket)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
            for protocol in [TCP, UDP, RAW] {
                let _ = read_inet(&bytes, protocol);
            }
            let _ = read_packet(&bytes);
        }
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_address() {
        let mut message = [0; INET_HEADER];
        message[0] = INET6;
        message[1] = 1;
        message[4..6].copy_from_slice(&80u16.to_be_bytes());
        message[8..24].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]);
        message[40..44].copy_from_slice(&7u32.to_ne_bytes());
        message[44..48].copy_from_slice(&2u32.to_ne_bytes());
        message[48..52].copy_from_slice(&1u32.to_ne_bytes());
        message[68..72].copy_from_slice(&99u32.to_ne_bytes());
        let socket = read_inet(&message, TCP).expect("a socket");
        assert_eq!(socket.local, "10.0.0.1:80".parse().expect("an address"));
        assert_eq!(socket.remote, "[::]:0".parse().expect("an address"));
        assert_eq!(socket.cookie, SocketCookie(1 << 32 | 2));
        assert_eq!(
            (socket.device, socket.inode, socket.family),
            (Some(IfIndex(7)), 99, INET6)
        );
    }
}
