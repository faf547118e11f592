//! Multipath TCP: the kernel opens a further connection by an interface that no socket of the process asked for. Case 18 of
//! docs/developers/scenarios.md.

use pinif_userspace::findings::line::FindingLine;

use crate::bench::{Auditor, Bench, CONTROL_PLANE, Finding, Need, Report, Sent, leak, scenario};

const MPTCP: [Need; 2] = [Need::Mptcp, Need::Program("ip")];

/// Lets the card's path manager open one more subflow, from eth1's address and by eth1.
fn endpoint(bench: &Bench) {
    bench.run("ip", "mptcp limits set subflow 1");
    bench.run("ip", "mptcp endpoint add 192.0.2.1 dev eth1 subflow");
}

/// A connection that is bound to fab0, and is open until the path manager has sent by eth1.
fn connect(bench: &Bench, auditor: Auditor<'_>) -> (Sent, Report) {
    let mut far = bench.far_sender(
        &bench.chassis.peer,
        "tcp --mptcp --listen 10.0.0.2:7000 --close last",
    );
    far.wait_for("ready").go();
    let mut sender =
        bench.sender("tcp --mptcp --bind-device fab0 --to 10.0.0.2:7000 --pause-sent --bytes 1000");
    // The subflow is opened when the first data is acknowledged.
    sender.wait_for("sent");
    bench.wait_until_sent("eth1", 1);
    sender.go();
    let sent = sender.finish();
    far.finish();
    (sent, auditor.stop())
}

#[test]
fn a_connection_without_endpoints_has_one_way() {
    scenario("18 one-way", &MPTCP, |bench| {
        let mut far = bench.far_sender(
            &bench.chassis.peer,
            "tcp --mptcp --listen 10.0.0.2:7000 --close last",
        );
        far.wait_for("ready").go();
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        bench.send("tcp --mptcp --bind-device fab0 --to 10.0.0.2:7000");
        far.finish();
        let report = auditor.stop();
        let packets = report.sent_by("fab0").packets;
        report
            .expect()
            .contained("fab0", "fab0", packets)
            .nothing_else();
    });
}

/// The kernel binds the subflow to the endpoint's device: what it is bound to is where it leaves, and only a policy shows
/// that its connection was meant for another.
#[test]
fn a_subflow_leaves_by_its_endpoints_device() {
    scenario("18 subflow", &MPTCP, |bench| {
        endpoint(bench);
        let (_, report) = connect(bench, bench.audit(&[]));
        let (fab0, eth1) = (report.sent_by("fab0"), report.sent_by("eth1"));
        report
            .expect()
            .contained("fab0", "fab0", fab0.packets)
            .contained("eth1", "eth1", eth1.packets)
            .nothing_else();
    });
}

#[test]
fn a_subflow_of_control_traffic_leaks_by_its_endpoints_device() {
    scenario("18 subflow-policy", &MPTCP, |bench| {
        endpoint(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let outside = &bench.chassis.outside;
        let answered = outside.sent("eth0").expect("eth0").packets;
        let (sent, report) = connect(bench, auditor);
        let answered = outside.sent("eth0").expect("eth0").packets - answered;
        let (fab0, eth1) = (report.sent_by("fab0"), report.sent_by("eth1"));
        // A thread of the kernel's made the subflow. Whose it is can be found as long as the process is there.
        let by_whom = |finding: Finding| {
            let is_it =
                |line: &&FindingLine| line.kind.name() == finding.kind() && line.process.is_some();
            match report.findings.iter().find(is_it) {
                Some(FindingLine {
                    socket_cookie: Some(cookie),
                    ..
                }) => finding.by(&Sent {
                    cookie: *cookie,
                    ..sent.clone()
                }),
                _ => finding,
            }
        };
        let escape = leak("policy-escape")
            .rule("control-plane")
            .bound("eth1")
            .egress("eth1")
            .packets(eth1.packets)
            .protocol("tcp")
            .destination("10.0.0.2:7000");
        let answer = leak("ingress-escape")
            .rule("control-plane")
            .bound("eth1")
            .egress("eth1")
            .packets(answered)
            .source("10.0.0.2:7000");
        let (escape, answer) = (by_whom(escape), by_whom(answer));
        report
            .expect()
            .contained("fab0", "fab0", fab0.packets)
            .finding(escape)
            .arrived(answer)
            .nothing_else();
    });
}
