//! Multipath TCP: the kernel opens, or accepts, further connections by interfaces that no socket of the process asked for. What
//! they are meant for is what their connection is bound to. Case 18 of docs/developers/scenarios.md.

mod answers;
mod remedies;

use std::process::Command;

use pinif_lab::Namespace;

use crate::bench::carry::on_card;
use crate::bench::{Auditor, Bench, CONTROL_PLANE, Finding, Need, Report, Sent, leak, scenario};

const MPTCP: [Need; 2] = [Need::Mptcp, Need::Program("ip")];

/// What the client sends where a subflow is to have a part of it.
const MANY: u64 = 3_000_000;

/// Plugs a second cable into the peer, beside the backplane, whose neighbours are named like the chassis's own.
fn second_link(bench: &Bench) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    card.veth("eth2", peer, "eth2", 0x21).expect("a link");
    let ends = [(card, "198.51.100.1"), (peer, "198.51.100.2")];
    for (end, address) in ends {
        end.set_up("eth2").expect("up");
        let address = format!("{address}/24").parse().expect("an address");
        end.add_address("eth2", address).expect("an address");
    }
    for (end, (far, address)) in [(card, ends[1]), (peer, ends[0])] {
        end.wait_until_operational("eth2").expect("operational");
        let mac = far.mac("eth2").expect("an address");
        let address = address.parse().expect("an address");
        end.add_neighbour("eth2", address, &mac)
            .expect("a neighbour");
    }
    // The drivers count what leaves, and not what TCP made of many segments.
    for link in ["fab0", "eth2"] {
        card.segment_in_software(link).expect("ethtool");
    }
    bench.count_on("eth2");
}

/// `ip mptcp` with these arguments.
fn set(namespace: &Namespace, arguments: &str) {
    let output = namespace.run(|| {
        let mut ip = Command::new("ip");
        ip.arg("mptcp").args(arguments.split(' ')).output()
    });
    let output = output.expect("a namespace").expect("ip");
    assert!(output.status.success(), "{arguments}: {output:?}");
}

/// Lets the card's path manager open one more subflow, from eth1's address and by eth1.
fn endpoint(bench: &Bench) {
    set(bench.card(), "limits set subflow 1");
    set(bench.card(), "endpoint add 192.0.2.1 dev eth1 subflow");
}

/// Lets the peer announce its address on the second link, and the card take so many announced addresses.
fn announced(bench: &Bench, accepted: u32) {
    second_link(bench);
    let limits = format!("limits set subflow 2 add_addr_accepted {accepted}");
    set(bench.card(), &limits);
    set(&bench.chassis.peer, "limits set subflow 2");
    set(&bench.chassis.peer, "endpoint add 198.51.100.2 signal");
}

/// A connection that is bound to fab0, sends, and is open until the other end has all of it and `there_is` returns.
fn connect(bench: &Bench, bytes: u64, there_is: impl FnOnce()) -> Sent {
    connect_until(bench, bytes, "last", there_is)
}

/// The same; how the other end closes: `last`, or by a `reset`.
fn connect_until(bench: &Bench, bytes: u64, close: &str, there_is: impl FnOnce()) -> Sent {
    let server =
        format!("tcp --mptcp --listen 0.0.0.0:7000 --bytes {bytes} --pause-sent --close {close}");
    let mut far = bench.far_sender(&bench.chassis.peer, &server);
    far.wait_for("ready").go();
    let mut sender = bench.sender(&format!(
        "tcp --mptcp --bind-device fab0 --to 10.0.0.2:7000 --pause-connected --pause-sent --bytes {bytes}"
    ));
    sender.wait_for("connected").go();
    // The subflow is opened when the first data is acknowledged.
    sender.wait_for("sent");
    there_is();
    far.wait_for("received").go();
    if close == "reset" {
        far.finish();
        sender.go();
        return sender.finish();
    }
    sender.go();
    let sent = sender.finish();
    far.finish();
    sent
}

fn escape(sent: &Sent) -> Finding {
    leak("device-escape")
        .bound("fab0")
        .protocol("tcp")
        .by_program("pinif-sender", sent.pid)
}

/// That the connection's packets by fab0 are contained, and those by `egress` are this escape. Some kernels end a subflow by a
/// reset of their own, which has that interface's address.
fn escapes(report: &Report, egress: &str, escape: Finding) {
    let (fab0, away) = (report.sent_by("fab0"), report.sent_by(egress));
    let resets = packets(report, None, egress, "contained");
    assert!(resets <= 2, "{report}");
    let expected = report.expect().contained("fab0", "fab0", fab0.packets);
    let expected = if resets == 0 {
        expected
    } else {
        expected.contained_unpinned(egress, resets)
    };
    expected
        .finding(escape.egress(egress).packets(away.packets - resets))
        .nothing_else();
}

/// How many packets are in the cells of such a verdict.
fn packets(report: &Report, bound: Option<&str>, egress: &str, verdict: &str) -> u64 {
    let place = (
        bound.map(str::to_owned),
        egress.to_owned(),
        verdict.to_owned(),
    );
    let places = report.places();
    places.get(&place).map_or(0, |(packets, _)| *packets)
}

fn stays(report: &Report) {
    let packets = report.sent_by("fab0").packets;
    report
        .expect()
        .contained("fab0", "fab0", packets)
        .nothing_else();
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
        stays(&auditor.stop());
    });
}

/// The kernel binds the subflow to the endpoint's device. Its connection is bound to another.
#[test]
fn a_subflow_leaves_by_its_endpoints_device() {
    scenario("18 subflow", &MPTCP, |bench| {
        endpoint(bench);
        let auditor = bench.audit(&[]);
        let sent = connect(bench, 1000, || bench.wait_until_sent("eth1", 1));
        let escape = escape(&sent)
            .destination("10.0.0.2:7000")
            .cause("path manager bound to eth1")
            .remedy("ip mptcp endpoint delete");
        escapes(&auditor.stop(), "eth1", escape);
    });
}

/// The answers to it arrive for a subflow that the kernel bound to the front port; their process is that of the connection.
#[test]
fn a_subflow_of_control_traffic_leaks_by_its_endpoints_device() {
    scenario("18 subflow-policy", &MPTCP, |bench| {
        endpoint(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let outside = &bench.chassis.outside;
        let answered = outside.sent("eth0").expect("eth0").packets;
        let sent = connect(bench, 1000, || bench.wait_until_sent("eth1", 1));
        let report = auditor.stop();
        let answered = outside.sent("eth0").expect("eth0").packets - answered;
        let (fab0, eth1) = (report.sent_by("fab0"), report.sent_by("eth1"));
        let answer = leak("ingress-escape")
            .rule("control-plane")
            .bound("eth1")
            .egress("eth1")
            .packets(answered)
            .source("10.0.0.2:7000");
        let escape = escape(&sent).destination("10.0.0.2:7000").with(answer);
        report
            .expect()
            .contained("fab0", "fab0", fab0.packets)
            .finding(escape.egress("eth1").packets(eth1.packets))
            .nothing_else();
    });
}

/// The kernel binds such a subflow to nothing.
#[test]
fn a_subflow_to_an_announced_address_leaks() {
    scenario("18 announced", &MPTCP, |bench| {
        announced(bench, 2);
        let auditor = bench.audit(&[]);
        let sent = connect(bench, MANY, || bench.wait_until_sent("eth2", 1));
        let report = auditor.stop();
        let escape = escape(&sent)
            .destination("198.51.100.2:7000")
            .cause("a Multipath TCP subflow")
            .cause("to 198.51.100.2, an address that the peer announced")
            .remedy(
                "let the path manager take no address of a peer (`ip mptcp limits set add_addr_accepted 0`)",
            );
        escapes(&report, "eth2", escape);
    });
}

#[test]
fn what_the_remedy_says_keeps_the_connection_inside() {
    scenario("18 announced-remedy", &MPTCP, |bench| {
        announced(bench, 2);
        bench.run("ip", "mptcp limits set add_addr_accepted 0");
        let auditor = bench.audit(&[]);
        connect(bench, MANY, || ());
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth2").packets, 0, "{report}");
        stays(&report);
    });
}

/// What an unbound socket sent the same way before is contained, and its cached verdict is not taken for the subflow.
#[test]
fn a_cached_verdict_is_not_a_subflows() {
    scenario("18 announced-cached", &MPTCP, |bench| {
        announced(bench, 2);
        let auditor = bench.audit(&[]);
        let before = bench.card().sent("eth2").expect("eth2").packets;
        let mut far = bench.far_sender(
            &bench.chassis.peer,
            "tcp --listen 198.51.100.2:7001 --bytes 100000 --close last",
        );
        far.wait_for("ready").go();
        bench.send("tcp --to 198.51.100.2:7001 --bytes 100000");
        far.finish();
        bench.settle();
        let unbound = bench.card().sent("eth2").expect("eth2").packets - before;
        let sent = connect(bench, MANY, || {
            bench.wait_until_sent("eth2", before + unbound + 1);
        });
        let report = auditor.stop();
        let (fab0, eth2) = (report.sent_by("fab0"), report.sent_by("eth2"));
        let unescaped = packets(&report, None, "eth2", "contained");
        assert!((unbound..=unbound + 2).contains(&unescaped), "{report}");
        let escaped = eth2.packets - unescaped;
        report
            .expect()
            .contained_unpinned("eth2", unescaped)
            .contained("fab0", "fab0", fab0.packets)
            .finding(escape(&sent).egress("eth2").packets(escaped))
            .nothing_else();
    });
}

/// The subflow's packets are dropped, and the connection goes on by fab0.
fn dropped(bench: &Bench, mut auditor: Auditor<'_>, link: &str) {
    let before = bench.card().sent(link).expect("it is there").packets;
    let sent = connect(bench, 1000, || {
        auditor.wait_for_finding("device-escape");
    });
    let report = auditor.stop();
    let after = bench.card().sent(link).expect("it is there").packets;
    assert_eq!((sent.sent, after - before), (1, 0), "{report}");
    let escape = escape(&sent)
        .egress(link)
        .packets(report.summary.dropped)
        .dropped();
    report
        .expect()
        .contained("fab0", "fab0", report.sent_by("fab0").packets)
        .finding(escape)
        .total(report.sent_by("fab0").packets)
        .nothing_else();
}

#[test]
fn an_enforced_policy_keeps_subflows_from_leaving() {
    scenario("18 announced-enforce", &MPTCP, |bench| {
        announced(bench, 2);
        dropped(bench, bench.audit(&["--enforce"]), "eth2");
    });
    scenario("18 subflow-enforce", &MPTCP, |bench| {
        endpoint(bench);
        dropped(bench, bench.audit(&["--enforce"]), "eth1");
    });
}

/// An endpoint without `dev` has another source address; the route leads out of fab0 all the same.
#[test]
fn a_subflow_that_leaves_where_its_connection_does_is_contained() {
    scenario("18 subflow-inside", &MPTCP, |bench| {
        second_link(bench);
        set(bench.card(), "limits set subflow 1");
        set(bench.card(), "endpoint add 198.51.100.1 subflow");
        set(&bench.chassis.peer, "limits set subflow 1");
        let auditor = bench.audit(&[]);
        connect(bench, MANY, || ());
        let report = auditor.stop();
        // A reset of the kernel's own, by which some kernels end the subflow, has eth2's address.
        let resets = packets(&report, None, "fab0", "address-escape");
        assert!(resets <= 2, "{report}");
        assert!(
            report
                .findings
                .iter()
                .all(|finding| finding.process.is_none()),
            "{report}"
        );
        assert_eq!(
            packets(&report, Some("fab0"), "fab0", "contained") + resets,
            report.sent_by("fab0").packets,
            "{report}"
        );
        assert_eq!(report.sent_by("eth2").packets, 0, "{report}");
    });
}

/// The peer opens the subflow, to an address that the card announces with a port, where the kernel listens.
#[test]
fn a_subflow_that_the_peer_opened_leaks() {
    scenario("18 accepted", &MPTCP, |bench| {
        second_link(bench);
        set(bench.card(), "limits set subflow 2");
        set(bench.card(), "endpoint add 198.51.100.1 port 9000 signal");
        set(
            &bench.chassis.peer,
            "limits set subflow 2 add_addr_accepted 2",
        );
        let mut auditor = bench.audit(&[]);
        // It is the peer's kernel that decides when, or whether, it opens the subflow, and whether any data is left for it then. Some
        // hand on no end of such a connection: the other end would wait for it.
        // Each that carries none has a SYN-ACK and a reset there, or some of both.
        let carries_data = |senders: usize| {
            let sent = bench.card().sent("eth2").expect("counters").packets;
            sent > 6 + 2 * senders.max(1) as u64
        };
        let mut senders = Vec::new();
        while !carries_data(senders.len()) {
            assert!(senders.len() < 180, "the peer opens no subflow");
            senders.push(connect_until(bench, MANY, "reset", || ()).pid);
        }
        // Of the connection itself: the SYN-ACK has no process.
        auditor.wait_for_finding_that("names the path manager", |finding| {
            finding.cause.contains("path manager")
        });
        let report = auditor.stop();
        let (fab0, eth2) = (report.sent_by("fab0"), report.sent_by("eth2"));
        // The kernel's own listener answers the SYN. On some kernels it is bound as the connection is; no process has it.
        let at = |bound, egress, verdict| packets(&report, bound, egress, verdict);
        let (escaped, other) = (
            at(Some("fab0"), "eth2", "device-escape"),
            at(None, "eth2", "contained"),
        );
        assert!(other <= 2 * senders.len() as u64, "{report}");
        assert_eq!(escaped + other, eth2.packets, "{report}");
        assert_eq!(
            at(Some("fab0"), "fab0", "contained"),
            fab0.packets,
            "{report}"
        );
        let mut findings = report.findings.iter();
        let of_connection = findings.find(|finding| finding.cause.contains("path manager"));
        let of_connection = of_connection.expect("a finding");
        let process = of_connection.process.as_ref().expect("a process");
        let pid = process.pid.expect("a number");
        assert!(senders.contains(&pid), "{report}");
        let cause = of_connection.cause.as_str();
        assert!(
            cause.contains("a Multipath TCP subflow of the kernel's path manager"),
            "{report}"
        );
        assert!(
            on_card(of_connection, &of_connection.remedy).contains("ip mptcp endpoint"),
            "{report}"
        );
    });
}
