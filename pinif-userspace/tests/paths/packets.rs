//! Packets: of bound sockets, leaking ones, those of others, and those that arrive.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use pinif_ebpf::verdict::Kind::{
    AddressEscape, CopyEscape, DeviceEscape, IngressEscape, PolicyEscape,
};

use super::{
    frame::{Flow, TCP, UDP},
    host::{Host, Kind, Sock},
    lives::{CACHED, CLEAN, OUTSIDE, outwards},
    matrix::{expect, expect_findings},
    path::{Limit, Path, Paths},
    state::{CONTROL_PLANE, ETH1, FAB0, Interface},
};

/// A packet of others whose verdict is cached: the same, but with an entry of the cache instead of the socket's storage.
const FORWARDED: Limit = Limit {
    instructions: 200,
    calls: 6,
};
/// A packet that arrives where it may.
const ARRIVING: Limit = Limit {
    instructions: 360,
    calls: 13,
};

/// Another card.
const CARD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const PORT: u16 = 7_000;
/// The first packet of a finding; the first of another socket, of a finding that is known; the next one, from which on the CPU counts the
/// flow by itself; and each one after that.
const LEAKING: [&str; 4] = [
    "a leaking packet, the first of a finding",
    "a leaking packet, the first of another socket",
    "a leaking packet, the second of its flow",
    "a leaking packet",
];

/// What is said to another card, from an address.
fn to_card(from: IpAddr, port: u16) -> Flow {
    Flow::new(UDP, (from, port), (CARD, PORT))
}

/// A socket that is bound to fab0 and connected, and sends from this port.
fn bound_to_fab0(host: &mut Host, port: u16) -> Result<Sock> {
    let (sock, _) = host.create(Kind::Datagram)?;
    host.bind_to_device(sock, FAB0)?;
    host.connect(sock, port)?;
    Ok(sock)
}

/// Bound to a device, and right, under a policy.
pub fn bound() -> Result<Vec<Path>> {
    let mut host = Host::new(CONTROL_PLANE)?;
    let mut paths = Paths::with("a policy, UDP bound to its device");
    let (sock, _) = host.create(Kind::Datagram)?;
    let count = host.bind_to_device(sock, FAB0)?;
    paths.add("setsockopt(SO_BINDTODEVICE)", count);
    host.connect(sock, 40_001)?;
    let flow = to_card(FAB0.address.into(), 40_001);
    let count = host.send(Some(sock), &flow, FAB0, None)?;
    paths.add("a packet, the first of its class", count);
    let sock = bound_to_fab0(&mut host, 40_002)?;
    let flow = to_card(FAB0.address.into(), 40_002);
    let count = host.send(Some(sock), &flow, FAB0, None)?;
    paths.add("the first packet of a socket", count);
    paths.add_limited(CACHED, CLEAN, host.send(Some(sock), &flow, FAB0, None)?);
    expect(&host, &[(Some(FAB0), FAB0, None, 3)])?;
    Ok(paths.all)
}

/// Bound to a device, and sent by another one.
pub fn escaping() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with("no policy, UDP bound to another device");
    for (port, name) in [(40_001, LEAKING[0]), (40_002, LEAKING[1])] {
        let sock = bound_to_fab0(&mut host, port)?;
        let flow = outwards(UDP, port);
        paths.add(name, host.send(Some(sock), &flow, ETH1, None)?);
        if name == LEAKING[1] {
            paths.add(LEAKING[2], host.send(Some(sock), &flow, ETH1, None)?);
            paths.add(LEAKING[3], host.send(Some(sock), &flow, ETH1, None)?);
        }
    }
    expect(&host, &[(Some(FAB0), ETH1, Some(DeviceEscape), 4)])?;
    expect_findings(&host, &[(DeviceEscape, 4)])?;
    Ok(paths.all)
}

/// Sent where a rule forbids it.
pub fn breaking() -> Result<Vec<Path>> {
    let mut host = Host::new(CONTROL_PLANE)?;
    let mut paths = Paths::with("a policy that it breaks, UDP");
    for (port, name) in [(40_001, LEAKING[0]), (40_002, LEAKING[1])] {
        let (sock, _) = host.create(Kind::Datagram)?;
        host.connect(sock, port)?;
        let flow = to_card(ETH1.address.into(), port);
        paths.add(name, host.send(Some(sock), &flow, ETH1, None)?);
        if name == LEAKING[1] {
            paths.add(LEAKING[2], host.send(Some(sock), &flow, ETH1, None)?);
            paths.add(LEAKING[3], host.send(Some(sock), &flow, ETH1, None)?);
        }
    }
    expect(&host, &[(None, ETH1, Some(PolicyEscape), 4)])?;
    expect_findings(&host, &[(PolicyEscape, 4)])?;
    Ok(paths.all)
}

/// What no process of this host sends.
pub fn of_others() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with("no policy");
    let flow = to_card(OUTSIDE, 40_001);
    let count = host.send(None, &flow, FAB0, Some(ETH1))?;
    paths.add("a forwarded packet, the first of its class", count);
    let count = host.send(None, &flow, FAB0, Some(ETH1))?;
    paths.add_limited(FORWARDED, "a forwarded packet", count);
    let control = host.sock(Kind::Kernels);
    let reset = outwards(TCP, 23);
    // The first of all has a cell to enter.
    host.send(Some(control), &reset, ETH1, None)?;
    let count = host.send(Some(control), &reset, ETH1, None)?;
    paths.add("a RST of the kernel", count);
    expect(&host, &[(None, FAB0, None, 2), (None, ETH1, None, 2)])?;
    Ok(paths.all)
}

/// Copies of what accepted connections send: they are in one entry of the table of endpoints, with their listener, until the last is closed.
pub fn copied() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with("no policy, TCP, accepted by a device");
    let (listener, _) = host.create(Kind::Stream)?;
    host.bind_to_device(listener, FAB0)?;
    host.bind(listener, FAB0.address, PORT)?;
    host.listen(listener)?;
    let flow = Flow::new(TCP, (FAB0.address.into(), PORT), (CARD, 40_001));
    let request = host.sock(Kind::Request(listener));
    host.bound(request, FAB0)?;
    host.send(Some(request), &flow, FAB0, None)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let sock = host.accept(listener, PORT)?;
        host.bound(sock, FAB0)?;
        host.send(Some(sock), &flow, FAB0, None)?;
        connections.push(sock);
    }
    // A connection that is closed before it has sent was in no entry.
    let silent = host.accept(listener, PORT)?;
    for closed in [connections[0], silent, listener] {
        host.close(closed)?;
        host.send(None, &flow, ETH1, Some(FAB0))?;
        let entries = host.machine.entries("ENDPOINTS")?;
        ensure!(
            entries.len() == 1,
            "a connection that is there is in the table of endpoints: {entries:?}"
        );
    }
    host.close(connections[1])?;
    let count = host.send(None, &flow, ETH1, Some(FAB0))?;
    paths.add("a copy of a packet of a closed socket", count);
    ensure!(
        host.machine.entries("ENDPOINTS")?.is_empty(),
        "nothing is left of what was closed"
    );
    expect(
        &host,
        &[
            (Some(FAB0), FAB0, None, 3),
            (Some(FAB0), ETH1, Some(CopyEscape), 4),
        ],
    )?;
    expect_findings(&host, &[(CopyEscape, 4)])?;
    Ok(paths.all)
}

/// Copies of what sockets send that `bind()` gave a port and no address: each is in one entry of the table of endpoints, which is of any
/// address, unless another socket enters the same.
pub fn copied_of_any_address() -> Result<Vec<Path>> {
    let mut host = Host::new("")?;
    let mut paths = Paths::with("no policy, UDP bound to its device, after bind() to no address");
    let by = |interface: Interface| Flow::new(UDP, (interface.address.into(), PORT), (CARD, PORT));
    let mut socks = Vec::new();
    for (interface, entries) in [(FAB0, 1), (ETH1, 2)] {
        let (sock, _) = host.create(Kind::Datagram)?;
        host.bind_to_device(sock, interface)?;
        host.bind(sock, Ipv4Addr::UNSPECIFIED, PORT)?;
        host.send_to(sock, PORT)?;
        if socks.is_empty() {
            // It has sent nothing from here yet: what has come in, and has the same source, was translated.
            host.send(None, &by(FAB0), ETH1, Some(FAB0))?;
        }
        host.send(Some(sock), &by(interface), interface, None)?;
        socks.push(sock);
        // Of the second, what it sends from; of the first, an entry of its own, with its address.
        expect_endpoints(&host, entries)?;
        let count = host.send(None, &by(FAB0), ETH1, Some(FAB0))?;
        if entries == 1 {
            paths.add("a copy of its packet, the first of a finding", count);
        }
    }
    host.close(socks[0])?;
    expect_endpoints(&host, 1)?;
    host.send(None, &by(FAB0), ETH1, Some(FAB0))?;
    host.close(socks[1])?;
    expect_endpoints(&host, 0)?;
    host.send(None, &by(ETH1), FAB0, Some(ETH1))?;
    expect(
        &host,
        &[
            (None, ETH1, Some(AddressEscape), 1),
            (Some(FAB0), FAB0, None, 1),
            (Some(ETH1), ETH1, None, 1),
            (Some(ETH1), FAB0, Some(CopyEscape), 1),
            (Some(FAB0), ETH1, Some(CopyEscape), 3),
        ],
    )?;
    Ok(paths.all)
}

/// Checks that the table of endpoints has so many entries, and their users have as many.
fn expect_endpoints(host: &Host, wanted: usize) -> Result<()> {
    let entries = host.machine.entries("ENDPOINTS")?;
    let shares = host.machine.entries("ENDPOINT_SHARES")?;
    let held: Vec<&[u8]> = shares.into_iter().map(|(_, held)| held).collect();
    ensure!(
        entries.len() == wanted && held == [wanted.to_ne_bytes()],
        "{wanted} entries are to be in the table of endpoints, and not {entries:?}, of which users hold {held:?}"
    );
    Ok(())
}

/// What arrives at an interface where that is watched.
pub fn arriving() -> Result<Vec<Path>> {
    let mut host = Host::new(CONTROL_PLANE)?;
    let mut paths = Paths::with("a policy that keeps a zone inside");
    let (server, _) = host.create(Kind::Datagram)?;
    host.bind(server, FAB0.address, PORT)?;
    let to = |address: Ipv4Addr| Flow::new(UDP, (OUTSIDE, 40_001), (address.into(), PORT));
    let count = host.receive(Some(server), &to(ETH1.address), ETH1)?;
    paths.add_limited(ARRIVING, "a packet that may arrive", count);
    expect_findings(&host, &[])?;
    let flow = to(FAB0.address);
    let count = host.receive(Some(server), &flow, ETH1)?;
    paths.add(
        "a packet that may not arrive, the first of a finding",
        count,
    );
    let count = host.receive(Some(server), &flow, ETH1)?;
    paths.add("a packet that may not arrive", count);
    expect_findings(&host, &[(IngressEscape, 2)])?;
    Ok(paths.all)
}
