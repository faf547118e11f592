//! What must not come in does not: none of it is received, each packet is counted, and whatever else comes is received as ever.

mod changes;
mod rules;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use nix::errno::Errno;
use pinif_lab::{Namespace, patience};
use socket2::{Domain, Socket, Type};

use super::ENFORCE;
use crate::bench::{Auditor, Bench, CONTROL_PLANE, Finding, Need, leak, risk, scenario};

const NOTHING: &[Need] = &[];

/// A socket of the card's, which says how much it was given.
struct Receiver(UdpSocket);

impl Receiver {
    /// Before the audit begins, which then knows whose it is.
    fn of(bench: &Bench, at: &str) -> Self {
        let socket = bench.card().run(|| UdpSocket::bind(at));
        let socket = socket.expect("the card").expect("a free port");
        socket.set_nonblocking(true).expect("a socket");
        Self(socket)
    }

    /// How many datagrams came since the last time.
    fn got(&self) -> u64 {
        let mut got = 0;
        let mut place = [0; 65536];
        loop {
            match self.0.recv(&mut place) {
                Ok(_) => got += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return got,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits for so many datagrams, and no more have come then.
    #[track_caller]
    fn gets(&self, packets: u64) {
        let Self(socket) = self;
        socket.set_nonblocking(false).expect("a socket");
        let patience = patience(Duration::from_secs(10));
        socket.set_read_timeout(Some(patience)).expect("a time");
        for _ in 0..packets {
            socket.recv(&mut [0; 64]).expect("it is received");
        }
        socket.set_nonblocking(true).expect("a socket");
        assert_eq!(self.got(), 0, "more than {packets}");
    }
}

/// Of this process's sockets, kept out.
fn kept_out() -> Finding {
    ours(escape())
}

/// Of this process's sockets.
fn ours(finding: Finding) -> Finding {
    let name = std::fs::read_to_string("/proc/self/comm").expect("a name");
    finding.by_program(name.trim_end(), std::process::id())
}

/// Of no process's sockets.
fn escape() -> Finding {
    leak("ingress-escape").egress("eth1").dropped()
}

fn send(bench: &Bench, from: &Namespace, arguments: &str) {
    bench.far_sender(from, arguments).finish();
}

/// Waits until findings say that so many were dropped where they arrived.
fn wait_until_dropped(auditor: &mut Auditor<'_>, packets: &[u64]) {
    let mut awaited = packets.to_vec();
    while !awaited.is_empty() {
        let found = auditor.wait_for_finding_that("all were dropped", |finding| {
            finding.dropped && awaited.contains(&finding.packets)
        });
        awaited.retain(|packets| *packets != found.packets);
    }
}

fn zone(name: &str, arguments: &[&str]) {
    scenario(name, NOTHING, |bench| {
        let (peer, outside) = (&bench.chassis.peer, &bench.chassis.outside);
        let inside = ["10.0.0.1:5000", "[fd00::1]:5000"].map(|at| Receiver::of(bench, at));
        let front = Receiver::of(bench, "192.0.2.1:5001");
        let arguments: Vec<_> = ENFORCE.iter().chain(arguments).copied().collect();
        let mut auditor = bench.audit_with(CONTROL_PLANE, &arguments);
        let before = (bench.received(), bench.received_outside());
        for arguments in [
            "udp --to 10.0.0.1:5000 --count 1000",
            "udp --to [fd00::1]:5000 --count 700",
            // Ten segments each, which come in one piece.
            "udp --to 10.0.0.1:5000 --gso 1000 --size 9500 --count 100",
            // Three fragments each: the first has the ports.
            "udp --to 10.0.0.1:5000 --size 4000 --count 100",
            // The outer addresses of this are another station's, the inner ones are those of the zone.
            "packet --device eth0 --from 192.0.2.2:4000 --to 10.0.0.1:5000 --count 11",
            // Tags without a VLAN's number: the kernel takes them out, and goes on.
            "packet --device eth0 --from 192.0.2.2:4000 --to 10.0.0.1:5000 --vlan 0 --count 13",
            "packet --device eth0 --from 192.0.2.2:4000 --to 10.0.0.1:5000 --vlan 0 --service-vlan 0 --count 17",
            "packet --device eth0 --from [2001:db8::2]:4000 --to [fd00::1]:5000 --options 3 --count 19",
            // Nobody's port, and the kernel's own.
            "udp --to 10.0.0.1:5009 --count 10",
            "ping --to 10.0.0.1 --count 40",
        ] {
            send(bench, outside, arguments);
        }
        let taken = 1000 + 700 + 1000 + 100 + 11 + 13 + 17 + 19;
        wait_until_dropped(&mut auditor, &[taken, 200, 10, 40]);
        assert_eq!(bench.received(), before.0, "packets that came in");
        assert_eq!(bench.received_outside(), before.1, "answers");
        // What comes where it may is received: by the same port, and by the same interface.
        send(bench, peer, "udp --to 10.0.0.1:5000 --count 120");
        send(bench, peer, "udp --to [fd00::1]:5000 --count 100");
        send(bench, outside, "udp --to 192.0.2.1:5001 --count 150");
        inside[0].gets(120);
        inside[1].gets(100);
        front.gets(150);
        let report = auditor.stop();
        assert_eq!(inside.map(|inside| inside.got()), [0, 0]);
        assert_eq!(report.summary.dropped, taken + 200 + 10 + 40, "{report}");
        let ours = report.findings.iter().find(|line| line.packets == taken);
        let explanation = &ours.expect("the finding").explanation;
        assert!(
            explanation.ends_with(
                "bound to no device, would have received it. It was dropped where it arrived, and nothing received it."
            ),
            "{report}"
        );
        let nobodys = risk("ingress-escape").egress("eth1").dropped();
        report
            .expect()
            .finding(kept_out().packets(taken))
            .finding(
                escape()
                    .packets(200)
                    .protocol("udp")
                    .destination("10.0.0.1"),
            )
            .finding(nobodys.packets(10).destination("10.0.0.1:5009"))
            .finding(escape().packets(40).protocol("icmp"))
            .total(0)
            .nothing_else();
    });
}

#[test]
fn what_belongs_to_a_contained_zone_is_kept_out() {
    zone("enforce arrival", &[]);
}

#[test]
fn filters_keep_out_as_well() {
    zone("enforce arrival-clsact", &["--attach", "clsact"]);
}

#[test]
fn a_connection_from_the_outside_is_kept_out_and_one_from_within_goes_on() {
    scenario("enforce arrival-tcp", NOTHING, |bench| {
        let (peer, outside) = (&bench.chassis.peer, &bench.chassis.outside);
        let listener = bench.card().run(|| TcpListener::bind("10.0.0.1:7000"));
        let listener = listener.expect("the card").expect("a free port");
        let connect = || TcpStream::connect("10.0.0.1:7000");
        let mut client = peer.run(connect).expect("the peer").expect("a connection");
        let (mut server, _) = listener.accept().expect("a connection");
        let mut auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let before = outside.sent("eth0").expect("eth0").packets;
        let outsider = outside.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            let to: SocketAddr = "10.0.0.1:7000".parse().expect("an address");
            match socket.connect(&to.into()) {
                Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => Ok(socket),
                outcome => outcome.map(|()| socket),
            }
        });
        let outsider = outsider.expect("the outside").expect("a socket");
        auditor.wait_for_finding_that("it was dropped", |finding| finding.dropped);
        let error = outsider.peer_addr().expect_err("it is not connected");
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        drop(outsider);
        let syns = outside.sent("eth0").expect("eth0").packets - before;
        let mut place = [0; 4];
        for _ in 0..50 {
            client.write_all(b"ping").expect("it goes on");
            server.read_exact(&mut place).expect("it goes on");
            server.write_all(&place).expect("it goes on");
            client.read_exact(&mut place).expect("it goes on");
        }
        drop(client);
        assert_eq!(server.read(&mut place).expect("its end"), 0);
        drop((server, listener));
        let report = auditor.stop();
        let left = report.sent_by("fab0").packets;
        report
            .expect()
            .finding(kept_out().packets(syns).protocol("tcp"))
            .contained_unpinned("fab0", left)
            .nothing_else();
    });
}

#[test]
fn what_is_forwarded_comes_in() {
    scenario("enforce arrival-forwarded", NOTHING, |bench| {
        bench.let_forward();
        let (peer, outside) = (&bench.chassis.peer, &bench.chassis.outside);
        let address = "10.0.0.77".parse().expect("an address");
        let mac = peer.mac("fab0").expect("a MAC address");
        let card = bench.card();
        card.add_neighbour("fab0", address, &mac)
            .expect("a neighbour");
        let prefix = "10.0.0.77/32".parse().expect("an address");
        peer.add_address("fab0", prefix).expect("an address");
        let auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        send(bench, outside, "udp --to 10.0.0.77:9 --count 500");
        bench.wait_until_sent("fab0", 500);
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 500)
            .total(500)
            .nothing_else();
    });
}
