//! Sockets that were there before the auditor, in its cgroup and out of it; and sockets that are handed on.

use std::io::Read as _;
use std::net::TcpListener;

use pinif_userspace::findings::line::FindingLine;
use socket2::SockRef;

use crate::bench::{
    Bench, CONTROL_PLANE, Finding, SENDER, Sender, Sent, leak, risk, scenario,
    time_wait_has_packets, together,
};

together! {
    whose_socket_it_is:
        a_packet_socket_from_before_is_known,
        a_packet_socket_of_another_cgroup_is_known,
        a_connected_socket_that_is_handed_on_is_of_the_one_who_has_it,
        one_of_another_cgroup_is_of_the_one_who_has_it,
        one_of_another_cgroup_that_is_not_connected_is_of_the_one_who_has_it,
        a_socket_that_two_have_is_of_the_one_who_uses_it;
}

/// A sender whose socket is made now, in the audited cgroup or out of it.
fn early(bench: &Bench, arguments: &str, is_followed: bool) -> Sender {
    let arguments = format!("--wait-stdin {arguments}");
    let mut sender = if is_followed {
        bench.sender(&arguments)
    } else {
        bench.far_sender(bench.card(), &arguments)
    };
    sender.wait_for("ready");
    sender
}

/// That the finding names the sender as it is: while it runs, nothing of it is unknown.
fn names(finding: &FindingLine, sent: &Sent) {
    let process = finding.process.as_ref().expect("its process is known");
    assert_eq!(
        (process.pid, &*process.comm),
        (Some(sent.pid), "pinif-sender")
    );
    assert_eq!(process.exe.as_deref(), Some(*SENDER));
    assert_eq!(finding.socket_cookie, Some(sent.cookie));
}

/// A hundred datagrams of each of two sockets from before, one in the audited cgroup and one out of it; the last is held back
/// until the finding was seen.
fn leaks_later(bench: &Bench, policy: &str, arguments: &str, wanted: impl Fn() -> Finding) {
    let arguments = format!("{arguments} --count 100 --pause-after 99");
    let senders = [true, false].map(|is_followed| early(bench, &arguments, is_followed));
    let mut auditor = bench.audit_with(policy, &[]);
    let mut known = None;
    let sent = senders.map(|mut sender| {
        sender.go().wait_for("paused");
        let finding =
            auditor.wait_for_finding_that("its finding", |finding| finding.socket_cookie != known);
        known = finding.socket_cookie;
        sender.go();
        let sent = sender.finish();
        names(&finding, &sent);
        sent
    });
    let [first, second] = &sent;
    auditor
        .stop()
        .expect()
        .finding(wanted().packets(100).by(first))
        .finding(wanted().packets(100).by(second))
        .nothing_else();
}

#[test]
fn a_pinned_udp_socket_from_before_is_known() {
    scenario("service existing-udp-pinned", &[], |bench| {
        let arguments = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
        leaks_later(bench, "", arguments, || {
            leak("device-escape").bound("fab0").egress("eth1")
        });
    });
}

#[test]
fn an_unpinned_udp_socket_from_before_is_known() {
    scenario("service existing-udp", &[], |bench| {
        leaks_later(bench, CONTROL_PLANE, "udp --to 10.9.0.9:9", || {
            leak("policy-escape").egress("eth1").rule("control-plane")
        });
    });
}

#[test]
fn a_connected_udp_socket_from_before_is_known() {
    scenario("service existing-udp-connected", &[], |bench| {
        leaks_later(
            bench,
            CONTROL_PLANE,
            "udp --connect --to 10.9.0.9:9",
            || leak("policy-escape").egress("eth1").rule("control-plane"),
        );
    });
}

#[test]
fn an_address_bound_udp_socket_from_before_is_known() {
    scenario("service existing-udp-address", &[], |bench| {
        leaks_later(bench, "", "udp --bind 10.0.0.1 --to 203.0.113.9:9", || {
            risk("address-escape").egress("eth1")
        });
    });
}

#[test]
fn a_raw_socket_from_before_is_known() {
    scenario("service existing-raw", &[], |bench| {
        let arguments = "raw --bind-device fab0 --pktinfo eth1 --to 10.0.0.2";
        leaks_later(bench, "", arguments, || {
            leak("device-escape").bound("fab0").egress("eth1")
        });
    });
}

#[test]
fn a_ping_socket_from_before_is_known() {
    scenario("service existing-ping", &[], |bench| {
        // What would answer it would arrive where it must not.
        let outside = &bench.chassis.outside;
        let silenced = outside.set_sysctl("ipv4/icmp_echo_ignore_all", "1");
        silenced.expect("a setting");
        leaks_later(bench, CONTROL_PLANE, "ping --to 10.9.0.9", || {
            leak("policy-escape").egress("eth1").protocol("icmp")
        });
    });
}

#[test]
fn an_ipv6_socket_from_before_is_known() {
    scenario("service existing-udp-v6", &[], |bench| {
        let arguments = "udp --bind-device fab0 --scope eth1 --to [fe80::2]:9";
        leaks_later(bench, "", arguments, || {
            leak("device-escape").bound("fab0").egress("eth1")
        });
    });
}

fn packet_socket(name: &str, is_followed: bool) {
    scenario(name, &[], |bench| {
        let arguments = "packet --device eth1 --from 192.0.2.1:7 --to 10.9.0.9:9 --count 100";
        let mut sender = early(bench, arguments, is_followed);
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        sender.go();
        let sent = sender.finish();
        let escape = leak("policy-escape").egress("eth1").rule("control-plane");
        auditor
            .stop()
            .expect()
            .finding(escape.packets(100).by(&sent))
            .nothing_else();
    });
}

fn a_packet_socket_from_before_is_known() {
    packet_socket("service existing-packet", true);
}

fn a_packet_socket_of_another_cgroup_is_known() {
    packet_socket("service existing-packet-elsewhere", false);
}

#[test]
fn a_connection_from_before_is_known() {
    scenario("service existing-tcp", &[], |bench| {
        let segmented = bench.card().segment_in_software("eth1");
        segmented.expect("eth1 has offloads");
        for is_followed in [true, false] {
            let outside = &bench.chassis.outside;
            let mut far = bench.far_sender(
                outside,
                "tcp --listen 10.9.0.9:7000 --bytes 5000 --close first",
            );
            far.wait_for("ready").go();
            let arguments = "tcp --to 10.9.0.9:7000 --bytes 5000 --close last --pause-connected";
            let mut sender = early(bench, arguments, is_followed);
            sender.go().wait_for("connected");
            let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
            let before = outside.sent("eth0").expect("eth0").packets;
            sender.go();
            auditor.wait_for_finding("policy-escape");
            let sent = sender.finish();
            far.finish();
            bench.settle();
            let answers = outside.sent("eth0").expect("eth0").packets - before;
            let report = auditor.stop();
            let packets = report.sent_by("eth1").packets;
            assert!(packets >= 3, "data, ACK and FIN\n{report}");
            let escape = leak("policy-escape").egress("eth1").rule("control-plane");
            report
                .expect()
                .finding(
                    escape
                        .packets(packets)
                        .by(&sent)
                        .protocol("tcp")
                        .with(answer().packets(answers)),
                )
                .nothing_else();
        }
    });
}

/// What is left of the connection, when its process has gone, is still its socket.
#[test]
fn the_end_of_a_connection_from_before_is_known() {
    end_of_a_connection("service existing-time-wait", true);
}

#[test]
fn the_end_of_a_connection_of_another_cgroup_is_known() {
    end_of_a_connection("service existing-time-wait-elsewhere", false);
}

fn end_of_a_connection(name: &str, is_followed: bool) {
    scenario(name, &[], |bench| {
        let outside = &bench.chassis.outside;
        let listener = outside.run(|| TcpListener::bind("10.9.0.9:7000"));
        let listener = listener.expect("the outside").expect("a free port");
        let arguments = "tcp --to 10.9.0.9:7000 --close first --pause-connected";
        let mut sender = early(bench, arguments, is_followed);
        sender.go();
        let (mut far, _) = listener.accept().expect("a connection");
        sender.wait_for("connected");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let answered = outside.sent("eth0").expect("eth0").packets;
        sender.go();
        let sent = sender.finish();
        far.read_to_end(&mut Vec::new()).expect("all of it");
        // The FIN is acknowledged now and alone, and the card's socket becomes a time-wait socket …
        let quickly = SockRef::from(&far).set_tcp_quickack(true);
        quickly.expect("a connection");
        bench.wait_for_time_wait();
        let before = bench.card().sent("eth1").expect("eth1").packets;
        // … which then answers the other side's FIN.
        drop(far);
        bench.wait_until_sent("eth1", before + 1);
        let answers = outside.sent("eth0").expect("eth0").packets - answered;
        let report = auditor.stop();
        let packets = report.sent_by("eth1").packets;
        assert!(packets >= 3, "data, FIN, ACK\n{report}");
        let escape = |packets| {
            let escape = leak("policy-escape").egress("eth1").packets(packets);
            escape.rule("control-plane").protocol("tcp")
        };
        let whole = if is_followed && time_wait_has_packets() {
            escape(packets).by(&sent)
        } else {
            escape(packets - 1).by(&sent).with(escape(1))
        };
        // Whose connection it was that is closed, only the hooks know.
        let whole = if is_followed {
            whole.with(answer().packets(answers))
        } else {
            whole
                .with(answer().packets(answers - 1))
                .with(answer().packets(1))
        };
        report.expect().finding(whole).nothing_else();
    });
}

/// What answers a connection that leaves where it must not.
fn answer() -> Finding {
    leak("ingress-escape")
        .egress("eth1")
        .rule("control-plane")
        .protocol("tcp")
}

/// A socket that one process makes and hands to another, which sends a hundred datagrams by it.
fn handed_on(name: &str, arguments: &str, is_followed: bool) {
    scenario(name, &[], |bench| {
        let arguments = format!("hand-on {arguments} --to 10.9.0.9:9 --count 100");
        let mut sender = early(bench, &arguments, is_followed);
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent = sender.go().sent();
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 1, "{report}");
        names(&report.findings[0], &sent);
        let explanation = &report.findings[0].explanation;
        assert!(explanation.contains(" pinif-sender's socket "), "{report}");
        let escape = leak("policy-escape").egress("eth1").rule("control-plane");
        report
            .expect()
            .finding(escape.packets(100).by(&sent))
            .nothing_else();
    });
}

/// Of a connected socket, no hook sees who sends.
fn a_connected_socket_that_is_handed_on_is_of_the_one_who_has_it() {
    handed_on("service handed-on", "--connect", true);
}

fn one_of_another_cgroup_is_of_the_one_who_has_it() {
    handed_on("service handed-on-elsewhere", "--connect", false);
}

fn one_of_another_cgroup_that_is_not_connected_is_of_the_one_who_has_it() {
    handed_on("service handed-on-unconnected", "", false);
}

fn a_socket_that_two_have_is_of_the_one_who_uses_it() {
    handed_on("service shared", "--keep", true);
}

#[test]
fn the_sockets_holder_is_reported_in_the_course_of_the_audit() {
    scenario("service handed-on-in-time", &[], |bench| {
        let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let mut sender = bench.sender("hand-on --connect --to 10.9.0.9:9 --count 100");
        let sent = sender.sent();
        let finding = auditor.wait_for_finding_that("who has the socket", |finding| {
            let process = finding.process.as_ref();
            process.is_some_and(|process| process.pid == Some(sent.pid))
        });
        names(&finding, &sent);
    });
}
