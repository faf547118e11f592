//! What the kernel sends by itself, or for a socket that is none any more. Cases 7 and 15 of docs/developers/scenarios.md.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;

use crate::bench::{Bench, CONTROL_PLANE, Need, leak, risk, scenario, together};
use pinif_lab::Namespace;
use socket2::{Domain, Socket, Type};

together! {
    replies:
        a_pinned_listener_answers_by_its_device,
        a_pinned_ipv6_listener_answers_by_its_device,
        a_pinned_connection_is_reset_by_its_device,
        a_pinned_connection_that_the_other_side_closes_is_acknowledged_by_its_device,
        a_time_wait_socket_acknowledges_by_its_device,
        the_kernel_resets_a_closed_port_via_the_interface_of_the_request,
        the_kernel_resets_another_host_by_the_default_route,
        the_kernel_resets_another_host_over_ipv6_by_the_default_route,
        the_kernel_reports_a_closed_port_to_another_host_by_the_default_route;
}

const NOTHING: &[Need] = &[];

fn a_pinned_listener_answers_by_its_device() {
    scenario("7 syn-ack", NOTHING, |bench| {
        served(bench, "10.0.0.1:7000", "first")
    });
}

fn a_pinned_ipv6_listener_answers_by_its_device() {
    scenario("7 syn-ack-v6", NOTHING, |bench| {
        served(bench, "[fd00::1]:7000", "first")
    });
}

fn a_pinned_connection_is_reset_by_its_device() {
    scenario("7 reset", NOTHING, |bench| {
        served(bench, "10.0.0.1:7000", "reset")
    });
}

fn a_pinned_connection_that_the_other_side_closes_is_acknowledged_by_its_device() {
    scenario("7 closed-by-peer", NOTHING, |bench| {
        served(bench, "10.0.0.1:7000", "last")
    });
}

/// The card serves one connection of the peer: SYN-ACK, ACKs, and its end.
fn served(bench: &Bench, address: &str, close: &str) {
    let auditor = bench.audit(&[]);
    let mut server = bench.sender(&format!(
        "tcp --listen {address} --bind-device fab0 --close {close}"
    ));
    server.wait_for("ready").go();
    let far_close = if close == "last" { "first" } else { "last" };
    bench
        .far_sender(
            &bench.chassis.peer,
            &format!("tcp --to {address} --close {far_close}"),
        )
        .finish();
    server.finish();
    let report = auditor.stop();
    let packets = report.sent_by("fab0").packets;
    assert!(packets >= 3, "SYN-ACK, ACK, and the end\n{report}");
    report
        .expect()
        .contained("fab0", "fab0", packets)
        .nothing_else();
}

fn a_time_wait_socket_acknowledges_by_its_device() {
    scenario("7 time-wait", NOTHING, |bench| {
        let listener = bench
            .chassis
            .peer
            .run(|| TcpListener::bind("10.0.0.2:7000"));
        let listener = listener.expect("the peer").expect("a free port");
        let auditor = bench.audit(&[]);
        let sender = bench.sender("tcp --bind-device fab0 --to 10.0.0.2:7000 --close first");
        let (mut far, _) = listener.accept().expect("a connection");
        sender.finish();
        far.read_to_end(&mut Vec::new()).expect("all of it");
        // The FIN is acknowledged now and alone, and the card's socket becomes a time-wait socket …
        acknowledge(&far);
        bench.wait_for_time_wait();
        let before = bench.card().sent("fab0").expect("fab0").packets;
        // … which then answers the other side's FIN.
        drop(far);
        bench.wait_until_sent("fab0", before + 1);
        let report = auditor.stop();
        report
            .expect()
            .contained("fab0", "fab0", before + 1)
            .nothing_else();
    });
}

fn acknowledge(stream: &TcpStream) {
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads an integer of the given length.
    let outcome = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_QUICKACK,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

/// Sends one SYN from `namespace`, and no second one.
fn send_syn(namespace: &Namespace, from: &str, to: &str) {
    let sent = namespace.run(|| -> std::io::Result<()> {
        let (from, to): (std::net::SocketAddr, std::net::SocketAddr) = (
            from.parse().expect("an address"),
            to.parse().expect("an address"),
        );
        let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), None)?;
        socket.bind(&from.into())?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(()),
        }
    });
    sent.expect("the namespace").expect("a SYN");
}

fn the_kernel_resets_a_closed_port_via_the_interface_of_the_request() {
    scenario("7 closed-port", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        send_syn(&bench.chassis.peer, "10.0.0.2:0", "10.0.0.1:7000");
        send_syn(&bench.chassis.peer, "[fd00::2]:0", "[fd00::1]:7000");
        bench.wait_until_sent("fab0", 2);
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 2)
            .nothing_else();
    });
}

/// Gives the peer an address that the card reaches by its default route only.
fn far_host(bench: &Bench) -> &Namespace {
    let peer = &bench.chassis.peer;
    for address in ["203.0.113.77/32", "2001:db8:f::77/128"] {
        peer.add_address("lo", address.parse().expect("an address"))
            .expect("the peer has a loopback");
    }
    peer
}

fn the_kernel_resets_another_host_by_the_default_route() {
    scenario("15 reset", NOTHING, |bench| {
        let peer = far_host(bench);
        let auditor = bench.audit(&[]);
        send_syn(peer, "203.0.113.77:4000", "10.0.0.1:7000");
        bench.wait_until_sent("eth1", 1);
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(1)
            .protocol("tcp")
            .source("10.0.0.1:7000")
            .destination("203.0.113.77:4000")
            .cause("the kernel's own reply; route ");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

fn the_kernel_resets_another_host_over_ipv6_by_the_default_route() {
    scenario("15 reset-v6", NOTHING, |bench| {
        let peer = far_host(bench);
        let auditor = bench.audit(&[]);
        send_syn(peer, "[2001:db8:f::77]:4000", "[fd00::1]:7000");
        bench.wait_until_sent("eth1", 1);
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(1)
            .protocol("tcp")
            .source("[fd00::1]:7000")
            .destination("[2001:db8:f::77]:4000")
            .cause("the kernel's own reply; route ");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

fn the_kernel_reports_a_closed_port_to_another_host_by_the_default_route() {
    scenario("15 icmp", NOTHING, |bench| {
        let peer = far_host(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let socket = peer
            .run(|| UdpSocket::bind("203.0.113.77:4000"))
            .expect("the peer")
            .expect("a free port");
        for _ in 0..10 {
            socket.send_to(b"?", "10.0.0.1:7000").expect("a route");
        }
        bench.wait_until_sent("eth1", 10);
        // The ICMP socket has no port: the ten are one flow.
        let escape = leak("address-escape")
            .egress("eth1")
            .packets(10)
            .protocol("icmp")
            .source("10.0.0.1")
            .destination("203.0.113.77")
            .cause("the kernel's own reply; route ");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

#[test]
fn an_unpinned_listener_answers_another_host_by_the_default_route() {
    scenario("15 syn-ack", NOTHING, |bench| {
        let peer = far_host(bench);
        // A request socket that is not answered shall not repeat itself.
        bench
            .card()
            .set_sysctl("ipv4/tcp_synack_retries", "0")
            .expect("TCP is there");
        let mut auditor = bench.audit(&[]);
        let mut server = bench.sender("tcp --listen 10.0.0.1:7000");
        server.wait_for("ready");
        send_syn(peer, "203.0.113.77:4000", "10.0.0.1:7000");
        bench.wait_until_sent("eth1", 1);
        // The server is asked while it listens.
        auditor.wait_for_finding("address-escape");
        drop(server);
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 1, "{report}");
        let finding = &report.findings[0];
        assert_eq!(
            (finding.kind.name(), finding.egress_interface.as_str()),
            ("address-escape", "eth1"),
            "{report}"
        );
        assert_eq!(
            (finding.packets, finding.source.as_str()),
            (1, "10.0.0.1:7000"),
            "{report}"
        );
        // Neither another address nor NAT would leave the client an answer.
        assert_eq!(
            finding.remedy,
            "decide where 203.0.113.77 belongs: no route leads there via fab0, so that a socket bound there would wait for a \
             neighbour that does not answer; give it a router there"
        );
    });
}
