//! The life of a socket: made, bound, connected, its packets, closed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use pinif_interpreter::Count;

use super::{
    frame::{Flow, TCP, UDP},
    host::{Host, Kind},
    matrix::expect,
    path::{Limit, Path, Paths},
    state::ETH1,
};

/// A host on the outside.
pub const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));

/// A packet of a socket whose verdict is cached: what is stored with the socket, the policy in force, a counter.
pub const CACHED: Limit = Limit {
    instructions: 210,
    calls: 3,
};

/// The packet of an old socket.
pub const CLEAN: &str = "a clean packet";
const SOCKET: &str = "socket()";
const BIND: &str = "bind()";
const BIND_TO_DEVICE: &str = "setsockopt(SO_BINDTODEVICE)";
const CONNECT: &str = "connect()";
const FIRST: &str = "the first packet of a socket";
const CLOSE: &str = "close()";

const UNBOUND: &str = "no policy, UDP";
const BOUND: &str = "no policy, UDP after bind()";
const PINNED: &str = "no policy, UDP bound to its device, after bind() to no address";
const STREAM: &str = "no policy, TCP";
const ACCEPTED: &str = "no policy, TCP, accepted";

/// What a process sends from this port to the outside.
pub fn outwards(protocol: u8, port: u16) -> Flow {
    Flow::new(protocol, (ETH1.address.into(), port), (OUTSIDE, 53))
}

/// A UDP socket, without a policy.
pub fn datagram() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with(UNBOUND);
    let (sock, count) = host.create(Kind::Datagram)?;
    paths.add("socket(), the first of its namespace", count);
    host.connect(sock, 40_001)?;
    let count = host.send(Some(sock), &outwards(UDP, 40_001), ETH1, None)?;
    paths.add("a packet, the first of its class", count);

    let (sock, count) = host.create(Kind::Datagram)?;
    paths.add(SOCKET, count);
    let flow = outwards(UDP, 40_002);
    paths.add(CONNECT, host.connect(sock, 40_002)?);
    paths.add(FIRST, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add_limited(CACHED, CLEAN, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add(CLOSE, host.close(sock)?);

    let (sock, _) = host.create(Kind::Datagram)?;
    paths.add("sendmsg(), the first", host.send_to(sock, 40_003)?);
    paths.add("sendmsg()", host.send_to(sock, 40_003)?);
    expect(&host, &[(None, ETH1, None, 3)])?;
    Ok(paths.all)
}

/// The same, after `bind()`.
pub fn bound() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with(BOUND);
    // The first of its class.
    let (sock, _) = host.create(Kind::Datagram)?;
    host.bind(sock, ETH1.address, 40_001)?;
    host.send(Some(sock), &outwards(UDP, 40_001), ETH1, None)?;

    let (sock, count) = host.create(Kind::Datagram)?;
    paths.add(SOCKET, count);
    paths.add(BIND, host.bind(sock, ETH1.address, 40_002)?);
    paths.add(CONNECT, host.connect(sock, 40_002)?);
    let flow = outwards(UDP, 40_002);
    paths.add(FIRST, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add_limited(CACHED, CLEAN, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add(CLOSE, host.close(sock)?);
    expect(&host, &[(None, ETH1, None, 3)])?;
    Ok(paths.all)
}

/// The same, bound to its device, after `bind()` to no address.
pub fn pinned() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with(PINNED);
    // The first of its class.
    let (sock, _) = host.create(Kind::Datagram)?;
    host.bind_to_device(sock, ETH1)?;
    host.bind(sock, Ipv4Addr::UNSPECIFIED, 40_001)?;
    host.send(Some(sock), &outwards(UDP, 40_001), ETH1, None)?;

    let (sock, count) = host.create(Kind::Datagram)?;
    paths.add(SOCKET, count);
    paths.add(BIND_TO_DEVICE, host.bind_to_device(sock, ETH1)?);
    paths.add(BIND, host.bind(sock, Ipv4Addr::UNSPECIFIED, 40_002)?);
    paths.add(CONNECT, host.connect(sock, 40_002)?);
    let flow = outwards(UDP, 40_002);
    paths.add(FIRST, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add_limited(CACHED, CLEAN, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add(CLOSE, host.close(sock)?);
    expect(&host, &[(Some(ETH1), ETH1, None, 3)])?;
    Ok(paths.all)
}

/// The same over IPv6.
pub fn over_ipv6() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with("no policy, UDP over IPv6");
    let (sock, _) = host.create(Kind::DatagramV6)?;
    paths.add(CONNECT, host.connect(sock, 40_001)?);
    let here = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let there = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9);
    let flow = Flow::new(UDP, (here.into(), 40_001), (there.into(), 53));
    host.send(Some(sock), &flow, ETH1, None)?;
    paths.add_limited(CACHED, CLEAN, host.send(Some(sock), &flow, ETH1, None)?);
    expect(&host, &[(None, ETH1, None, 2)])?;
    Ok(paths.all)
}

/// TCP, connected here.
pub fn stream() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with(STREAM);
    // The first of its namespace, and the first of its class.
    let (sock, _) = host.create(Kind::Stream)?;
    host.connect(sock, 40_001)?;
    host.send(Some(sock), &outwards(TCP, 40_001), ETH1, None)?;

    let (sock, count) = host.create(Kind::Stream)?;
    paths.add(SOCKET, count);
    paths.add(CONNECT, host.connect(sock, 40_002)?);
    let flow = outwards(TCP, 40_002);
    paths.add(FIRST, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add_limited(CACHED, CLEAN, host.send(Some(sock), &flow, ETH1, None)?);
    let bulk = Flow {
        segments: 45,
        ..flow
    };
    let count = host.send(Some(sock), &bulk, ETH1, None)?;
    paths.add_limited(CACHED, "a clean packet of 45 segments", count);
    let cookie = host.cookie(sock);
    paths.add(CLOSE, host.close(sock)?);
    let remains = host.sock(Kind::TimeWait(cookie));
    let count = host.send(Some(remains), &flow, ETH1, None)?;
    paths.add("an acknowledgement in TIME_WAIT", count);
    expect(&host, &[(None, ETH1, None, 4 + 45)])?;
    Ok(paths.all)
}

/// TCP, accepted.
pub fn accepted() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with(ACCEPTED);
    let (listener, _) = host.create(Kind::Stream)?;
    host.bind(listener, ETH1.address, 80)?;
    host.listen(listener)?;
    let flow = outwards(TCP, 80);
    // The first of its listener, and the first of its class.
    let request = host.sock(Kind::Request(listener));
    let count = host.send(Some(request), &flow, ETH1, None)?;
    paths.add("a SYN-ACK, the first of its listener", count);
    let sock = host.accept(listener, 80)?;
    host.send(Some(sock), &flow, ETH1, None)?;

    let request = host.sock(Kind::Request(listener));
    paths.add("a SYN-ACK", host.send(Some(request), &flow, ETH1, None)?);
    let sock = host.accept(listener, 80)?;
    paths.add(FIRST, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add_limited(CACHED, CLEAN, host.send(Some(sock), &flow, ETH1, None)?);
    paths.add(CLOSE, host.close(sock)?);
    expect(&host, &[(None, ETH1, None, 5)])?;
    Ok(paths.all)
}

/// A whole life: what it is, with what, what it must not exceed (instructions, helper calls), and how often each of its parts comes.
type Life = (
    &'static str,
    &'static str,
    (u64, u64),
    &'static [(&'static str, u64)],
);

const LIVES: [Life; 5] = [
    (
        "socket(), connect(), 1 packet, close()",
        UNBOUND,
        (1_090, 39),
        &[(SOCKET, 1), (CONNECT, 1), (FIRST, 1), (CLOSE, 1)],
    ),
    (
        "socket(), bind(), connect(), 10 packets, close()",
        BOUND,
        (3_320, 101),
        &[
            (SOCKET, 1),
            (BIND, 1),
            (CONNECT, 1),
            (FIRST, 1),
            (CLEAN, 9),
            (CLOSE, 1),
        ],
    ),
    (
        "socket(), SO_BINDTODEVICE, bind(), connect(), 1 packet, close()",
        PINNED,
        (1_480, 51),
        &[
            (SOCKET, 1),
            (BIND_TO_DEVICE, 1),
            (BIND, 1),
            (CONNECT, 1),
            (FIRST, 1),
            (CLOSE, 1),
        ],
    ),
    (
        "socket(), connect(), 10 packets, close()",
        STREAM,
        (3_100, 98),
        &[
            (SOCKET, 1),
            (CONNECT, 1),
            (FIRST, 1),
            (CLEAN, 9),
            (CLOSE, 1),
        ],
    ),
    (
        "SYN-ACK, 10 packets, close()",
        ACCEPTED,
        (3_130, 87),
        &[("a SYN-ACK", 1), (FIRST, 1), (CLEAN, 9), (CLOSE, 1)],
    ),
];

/// Whole lives, as sums of their parts.
///
/// # Panics
///
/// Where a part is not among the paths.
pub fn whole(paths: &[Path]) -> Vec<Path> {
    let sum = |(name, with, (instructions, calls), parts): Life| {
        let mut count = Count::default();
        for &(part, times) in parts {
            let mut paths = paths.iter();
            let path = paths.find(|path| path.name == part && path.with == with);
            for _ in 0..times {
                count += &path.expect("a path that is counted").count;
            }
        }
        Path {
            is_life: true,
            limit: Some(Limit {
                instructions,
                calls,
            }),
            ..Path::new(name, with, count)
        }
    };
    LIVES.into_iter().map(sum).collect()
}
