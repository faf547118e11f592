//! A flow that leaks is judged once, and its next packets are counted by what is known. What its verdict or its finding depends on
//! may change between any two of them, and is seen at the next.

use std::{io, os::unix::fs::fchown};

use nix::sys::signal::Signal;
use pinif_ebpf::verdict::CellVerdict;
use pinif_lab::{
    Device, LinkKind,
    send::{self, Extras},
};
use socket2::{Domain, Socket, Type};

use crate::bench::{Bench, Need, Report, scenario};

const PEER: &str = "10.0.0.2:9";

/// A socket of the card's that is bound to a device.
fn bound_to(bench: &Bench, device: &str) -> Socket {
    let socket = bench.card().run(|| -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.bind_device(Some(device.as_bytes()))?;
        Ok(socket)
    });
    socket.expect("the card").expect("a socket")
}

/// Sends as many datagrams past the socket's device.
fn leak(bench: &Bench, socket: &Socket, to: &str, datagrams: usize) {
    let index = bench.card().run(|| send::index("eth1"));
    let extras = Extras {
        packet_info: Some(index.expect("the card").expect("it is there")),
        ..Extras::default()
    };
    let to = to.parse().expect("an address");
    for _ in 0..datagrams {
        send::send(socket, b"x", Some(to), extras).expect("it leaves");
    }
}

/// The packets of each finding.
fn packets(report: &Report) -> Vec<u64> {
    let mut packets: Vec<_> = report
        .findings
        .iter()
        .map(|finding| finding.packets)
        .collect();
    packets.sort_unstable();
    packets
}

#[test]
fn a_socket_that_is_given_to_another_user_has_another_finding() {
    scenario("steady user", &[], |bench| {
        let auditor = bench.audit(&[]);
        let socket = bound_to(bench, "fab0");
        leak(bench, &socket, PEER, 30);
        fchown(&socket, Some(4711), None).expect("root may");
        leak(bench, &socket, PEER, 20);
        fchown(&socket, Some(0), None).expect("root may");
        leak(bench, &socket, PEER, 10);
        let report = auditor.stop();
        assert_eq!(packets(&report), [20, 40], "{report}");
        assert_eq!(report.summary.packets, 60, "{report}");
    });
}

/// Userspace stands still, so that the kernel alone knows of the port.
#[test]
fn an_interface_that_becomes_a_port_of_the_device_leaks_no_more() {
    let need = [Need::Link(LinkKind::Bridge), Need::Program("ip")];
    scenario("steady port", &need, |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Bridge, "br0"))
            .expect("a bridge");
        card.set_up("br0").expect("up");
        let auditor = bench.audit(&[]);
        let socket = bound_to(bench, "br0");
        leak(bench, &socket, PEER, 30);
        auditor.signal(Signal::SIGSTOP);
        card.enslave("eth1", "br0").expect("a port");
        leak(bench, &socket, PEER, 20);
        bench.run("ip", "link set eth1 nomaster");
        leak(bench, &socket, PEER, 10);
        auditor.signal(Signal::SIGCONT);
        let report = auditor.stop();
        assert_eq!(packets(&report), [40], "{report}");
        let cells = report.summary.matrix.iter();
        let contained = cells.filter(|cell| cell.verdict == CellVerdict::Contained);
        let contained: u64 = contained.map(|cell| cell.packets).sum();
        assert!(contained >= 20, "{report}");
    });
}

/// Each has its own count, wherever it is among the samples.
#[test]
fn flows_in_turn_are_each_counted() {
    scenario("steady in-turn", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sockets = [(); 20].map(|()| bound_to(bench, "fab0"));
        for _ in 0..10 {
            for socket in &sockets {
                leak(bench, socket, PEER, 3);
                leak(bench, socket, "10.0.0.2:10", 2);
            }
        }
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("{report}");
        };
        assert_eq!(finding.packets, 20 * 10 * 5, "{report}");
        assert_eq!(
            (finding.samples.sockets.count, finding.samples.sockets.more),
            (16, true)
        );
        let mut sockets = finding.samples.sockets.samples.iter();
        assert!(sockets.all(|socket| socket.packets == 50), "{report}");
        let destinations = finding.samples.destinations.samples.iter();
        let destinations: Vec<_> = destinations.map(|to| to.packets).collect();
        assert_eq!(destinations, [600, 400], "{report}");
    });
}
