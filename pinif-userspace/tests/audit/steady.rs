//! A flow that leaks is judged once, and its next packets are counted by what is known. What its verdict or its finding depends on
//! may change between any two of them, and is seen at the next.

use std::{io, os::unix::fs::fchown, thread};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::signal::Signal,
    unistd::Pid,
};
use pinif_ebpf::verdict::CellVerdict;
use pinif_lab::{
    Device, LinkKind, Namespace,
    send::{self, Extras},
};
use socket2::{Domain, Socket, Type};

use crate::bench::{Need, Report, scenario};

const PEER: &str = "10.0.0.2:9";

/// A socket of the card's that is bound to a device.
fn bound_to(card: &Namespace, device: &str) -> Socket {
    let socket = card.run(|| -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.bind_device(Some(device.as_bytes()))?;
        Ok(socket)
    });
    socket.expect("the card").expect("a socket")
}

/// Sends as many datagrams past the socket's device.
fn leak(card: &Namespace, socket: &Socket, to: &str, datagrams: usize) {
    let index = card.run(|| send::index("eth1"));
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
        let socket = bound_to(bench.card(), "fab0");
        leak(bench.card(), &socket, PEER, 30);
        fchown(&socket, Some(4711), None).expect("root may");
        leak(bench.card(), &socket, PEER, 20);
        fchown(&socket, Some(0), None).expect("root may");
        leak(bench.card(), &socket, PEER, 10);
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
        let socket = bound_to(bench.card(), "br0");
        leak(bench.card(), &socket, PEER, 30);
        auditor.signal(Signal::SIGSTOP);
        card.enslave("eth1", "br0").expect("a port");
        leak(bench.card(), &socket, PEER, 20);
        bench.run("ip", "link set eth1 nomaster");
        leak(bench.card(), &socket, PEER, 10);
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
        let sockets = [(); 20].map(|()| bound_to(bench.card(), "fab0"));
        for _ in 0..10 {
            for socket in &sockets {
                leak(bench.card(), socket, PEER, 3);
                leak(bench.card(), socket, "10.0.0.2:10", 2);
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

/// Nothing ends the flow: what the CPU has counted of it by itself is reported all the same.
#[test]
fn a_flow_that_goes_on_is_reported_as_it_grows() {
    scenario("steady going-on", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        let socket = bound_to(bench.card(), "fab0");
        for sent in [40, 80] {
            leak(bench.card(), &socket, PEER, 40);
            let finding = auditor.wait_for_finding_that("it grows", |it| it.packets == sent);
            let sockets: Vec<_> = finding.samples.sockets.samples.iter().collect();
            assert_eq!(sockets.len(), 1, "{finding:?}");
        }
        let report = auditor.stop();
        assert_eq!(packets(&report), [80], "{report}");
    });
}

/// Each counts its flow by itself, and some change theirs: all are one finding.
#[test]
fn flows_of_several_processors_are_one_finding() {
    scenario("steady processors", &[], |bench| {
        let auditor = bench.audit(&[]);
        let card = bench.card();
        let processors = sched_getaffinity(Pid::from_raw(0)).expect("this thread's");
        let processors =
            (0..CpuSet::count()).filter(|&it| processors.is_set(it).expect("one of them"));
        let processors: Vec<_> = processors.take(4).collect();
        thread::scope(|scope| {
            for &processor in &processors {
                scope.spawn(move || {
                    let mut own = CpuSet::new();
                    own.set(processor).expect("one of them");
                    sched_setaffinity(Pid::from_raw(0), &own).expect("it may be there");
                    let sockets = [(); 2].map(|()| bound_to(card, "fab0"));
                    for socket in sockets.iter().cycle().take(10) {
                        leak(card, socket, PEER, 100);
                    }
                });
            }
        });
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("{report}");
        };
        let flows = processors.len() as u64 * 2;
        assert_eq!(finding.packets, flows * 500, "{report}");
        assert_eq!(report.summary.packets, flows * 500, "{report}");
        let samples = &finding.samples;
        let sockets: Vec<_> = samples
            .sockets
            .samples
            .iter()
            .map(|it| it.packets)
            .collect();
        assert_eq!(sockets, vec![500; flows as usize], "{report}");
        let destinations = samples.destinations.samples.iter();
        let destinations: Vec<_> = destinations.map(|it| it.packets).collect();
        assert_eq!(destinations, [flows * 500], "{report}");
    });
}

/// The ones that a finding has no place for among its samples leak as much.
#[test]
fn a_flow_of_a_socket_too_many_is_counted() {
    scenario("steady too-many", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sockets = [(); 18].map(|()| bound_to(bench.card(), "fab0"));
        for socket in &sockets {
            leak(bench.card(), socket, PEER, 5);
        }
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("{report}");
        };
        assert_eq!(finding.packets, 18 * 5, "{report}");
        let samples = &finding.samples;
        assert!(samples.sockets.more, "{report}");
        let counted = samples.sockets.samples.iter().map(|it| it.packets);
        assert_eq!(counted.collect::<Vec<_>>(), [5; 16], "{report}");
        let destinations = samples.destinations.samples.iter().map(|it| it.packets);
        assert_eq!(destinations.collect::<Vec<_>>(), [18 * 5], "{report}");
    });
}
