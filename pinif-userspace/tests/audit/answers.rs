//! Answers of UDP servers that are bound to nothing, by another interface than the one that they were asked by.

use pinif_lab::{Device, LinkKind, Namespace, Route};

use crate::bench::{Bench, Finding, Need, Sender, Sent, leak, note, risk, scenario, together};

together! {
    without_a_policy:
        an_answer_by_another_interface_is_a_note,
        an_ipv6_answer_by_another_interface_is_a_note,
        an_answer_by_the_interface_that_was_asked_is_contained,
        a_host_that_comes_by_another_interface_is_answered_there,
        a_host_that_came_by_the_right_interface_comes_by_another,
        a_host_that_never_asked_is_not_answered,
        a_socket_that_is_bound_to_an_address_is_judged_by_that,
        a_socket_that_is_bound_to_a_device_is_judged_by_that;
    tracked:
        an_answer_of_a_tracked_connection_is_not_taken_for_translated;
    lower_devices:
        what_came_by_a_bridge_is_answered_by_its_port;
    under_a_policy:
        an_answer_out_of_a_contained_zone_is_a_leak;
    enforced:
        an_answer_out_of_a_contained_zone_is_dropped,
        an_answer_that_is_a_note_leaves;
}

const BRIDGE: [Need; 1] = [Need::Link(LinkKind::Bridge)];
const REPLIES: &[&str] = &["--replies"];
const ENFORCE: &[&str] = &["--replies", "--enforce"];
/// The backplane is contained, and no rule says which traffic is whose.
const CONTAINED: &str = "[zone.backplane]\ninterfaces = [\"fab*\"]\ncontained = true\n";
const PEER: &str = "10.0.0.2:9";

/// The peer is reached via the front port from here on, whatever it comes by.
fn route_outside(bench: &Bench, peer: &str, gateway: &str) {
    let route = Route::new(peer.parse().expect("a prefix"), "eth1");
    let gateway = gateway.parse().expect("an address");
    bench.card().add_route(route.via(gateway)).expect("a route");
}

/// A server that has bound, and sends once it gets a line.
fn server(bench: &Bench, arguments: &str) -> Sender {
    let mut server = bench.sender(&format!("--wait-stdin udp {arguments}"));
    server.wait_for("ready");
    server
}

/// A host asks the server once.
fn ask(bench: &Bench, from: &Namespace, arguments: &str) {
    let before = bench.received();
    bench.far_sender(from, &format!("udp {arguments}")).finish();
    bench.wait_until_received(before, 1);
}

/// The peer asks a server that is bound to nothing, which answers a thousand times.
fn answer_the_peer(bench: &Bench) -> Sent {
    let arguments = format!("--bind 0.0.0.0:5000 --to {PEER} --count 1000");
    let mut server = server(bench, &arguments);
    ask(bench, &bench.chassis.peer, "--to 10.0.0.1:5000");
    server.go();
    server.finish()
}

fn escape(packets: u64) -> Finding {
    note("reply-escape").egress("eth1").packets(packets)
}

/// The peer asks via fab0, and is answered a thousand times via eth1.
fn answered(name: &str, [bind, asks, to]: [&'static str; 3], [peer, gateway]: [&str; 2]) {
    scenario(name, &[], |bench| {
        route_outside(bench, peer, gateway);
        let auditor = bench.audit(REPLIES);
        let mut server = server(bench, &format!("--bind {bind} --to {to} --count 1000"));
        ask(bench, &bench.chassis.peer, asks);
        server.go();
        let sent = server.finish();
        let escape = escape(1000)
            .by(&sent)
            .protocol("udp")
            .destination(to)
            .cause("it was asked via fab0")
            .cause("dev eth1 in table main")
            .remedy("a route via fab0");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

fn an_answer_by_another_interface_is_a_note() {
    answered(
        "reply udp",
        ["0.0.0.0:5000", "--to 10.0.0.1:5000", PEER],
        ["10.0.0.2/32", "192.0.2.2"],
    );
}

fn an_ipv6_answer_by_another_interface_is_a_note() {
    answered(
        "reply udp-v6",
        ["[::]:5000", "--to [fd00::1]:5000", "[fd00::2]:9"],
        ["fd00::2/128", "2001:db8::2"],
    );
}

fn an_answer_by_the_interface_that_was_asked_is_contained() {
    scenario("reply same", &[], |bench| {
        let auditor = bench.audit(REPLIES);
        let mut server = server(
            bench,
            &format!("--bind 0.0.0.0:5000 --to {PEER} --count 1000"),
        );
        ask(bench, &bench.chassis.peer, "--to 10.0.0.1:5000");
        ask(bench, &bench.chassis.outside, "--to 192.0.2.1:5000");
        server.go();
        server.finish();
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 1000)
            .nothing_else();
    });
}

/// Asked via fab0 first and via eth1 then, and answered via eth1 all the time: no cached verdict outlives what was heard.
fn a_host_that_comes_by_another_interface_is_answered_there() {
    scenario("reply moved", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let auditor = bench.audit(REPLIES);
        let send = format!("--bind 0.0.0.0:5000 --to {PEER} --count 1000 --pause-after 400");
        let mut server = server(bench, &send);
        ask(bench, &bench.chassis.peer, "--to 10.0.0.1:5000");
        server.go();
        server.wait_for("paused");
        ask(
            bench,
            &bench.chassis.outside,
            "--bind 10.0.0.2 --to 192.0.2.1:5000",
        );
        server.go();
        let sent = server.finish();
        auditor
            .stop()
            .expect()
            .finding(escape(400).by(&sent))
            .contained_unpinned("eth1", 600)
            .nothing_else();
    });
}

fn a_host_that_came_by_the_right_interface_comes_by_another() {
    scenario("reply moved-away", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let auditor = bench.audit(REPLIES);
        let send = format!("--bind 0.0.0.0:5000 --to {PEER} --count 1000 --pause-after 400");
        let mut server = server(bench, &send);
        ask(
            bench,
            &bench.chassis.outside,
            "--bind 10.0.0.2 --to 192.0.2.1:5000",
        );
        server.go();
        server.wait_for("paused");
        ask(bench, &bench.chassis.peer, "--to 10.0.0.1:5000");
        server.go();
        let sent = server.finish();
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 400)
            .finding(escape(600).by(&sent))
            .nothing_else();
    });
}

/// Another host asked, and by another interface than what the server sends by: it is the first packet to this one that counts.
fn a_host_that_never_asked_is_not_answered() {
    scenario("reply unasked", &[], |bench| {
        let auditor = bench.audit(REPLIES);
        let mut server = server(bench, "--bind 0.0.0.0:5000 --to 203.0.113.9:9 --count 1000");
        ask(bench, &bench.chassis.peer, "--to 10.0.0.1:5000");
        server.go();
        server.finish();
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 1000)
            .nothing_else();
    });
}

fn a_socket_that_is_bound_to_an_address_is_judged_by_that() {
    scenario("reply bound-address", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let auditor = bench.audit(REPLIES);
        let mut server = server(
            bench,
            &format!("--bind 10.0.0.1:5000 --to {PEER} --count 1000"),
        );
        ask(bench, &bench.chassis.peer, "--to 10.0.0.1:5000");
        server.go();
        let sent = server.finish();
        let report = auditor.stop();
        let escape = risk("address-escape").egress("eth1").packets(1000);
        report.expect().finding(escape.by(&sent)).nothing_else();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert!(!finding.explanation.contains("reply-escape"), "{report}");
    });
}

fn a_socket_that_is_bound_to_a_device_is_judged_by_that() {
    scenario("reply pinned", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let auditor = bench.audit(REPLIES);
        let bind = "--bind-device fab0 --bind 0.0.0.0:5000";
        let mut server = server(bench, &format!("{bind} --to {PEER} --count 1000"));
        ask(bench, &bench.chassis.peer, "--to 10.0.0.1:5000");
        server.go();
        server.finish();
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 1000)
            .nothing_else();
    });
}

/// The kernel finds the connection of an answer by what was asked, and nothing translated either.
fn an_answer_of_a_tracked_connection_is_not_taken_for_translated() {
    scenario("reply tracked", &[Need::Program("nft")], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        for line in [
            "add table ip lab",
            "add chain ip lab in { type filter hook prerouting priority 0 ; }",
            "add rule ip lab in ct state new counter",
        ] {
            bench.run("nft", line);
        }
        let auditor = bench.audit(&[]);
        let mut server = server(
            bench,
            "--bind 10.0.0.1:5000 --to 10.0.0.2:4000 --count 1000",
        );
        ask(
            bench,
            &bench.chassis.peer,
            "--bind 10.0.0.2:4000 --to 10.0.0.1:5000",
        );
        server.go();
        let sent = server.finish();
        let report = auditor.stop();
        let escape = risk("address-escape").egress("eth1").packets(1000);
        report.expect().finding(escape.by(&sent)).nothing_else();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert!(!finding.cause.contains("NAT"), "{report}");
    });
}

/// What comes by a port is the bridge's, and leaves by the port, which is a lower device of it.
fn what_came_by_a_bridge_is_answered_by_its_port() {
    scenario("reply bridge", &BRIDGE, |bench| {
        let card = bench.card();
        let bridge = Device::new(LinkKind::Bridge, "br0");
        card.add_device(bridge).expect("a bridge");
        card.enslave("fab0", "br0").expect("a port");
        card.set_up("br0").expect("it is there");
        card.wait_until_operational("br0").expect("it is up");
        let auditor = bench.audit(REPLIES);
        answer_the_peer(bench);
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 1000)
            .nothing_else();
    });
}

fn an_answer_out_of_a_contained_zone_is_a_leak() {
    scenario("reply contained", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let auditor = bench.audit_with(CONTAINED, REPLIES);
        let sent = answer_the_peer(bench);
        let escape = leak("reply-escape").egress("eth1").packets(1000);
        let report = auditor.stop();
        let why = "Zone backplane is contained, and holds fab0, but not eth1.";
        let mut findings = report.findings.iter();
        assert!(
            findings.all(|finding| finding.explanation.ends_with(why)),
            "{report}"
        );
        report.expect().finding(escape.by(&sent)).nothing_else();
    });
}

/// The rule keeps what goes to the peer to the front port, where the answer leaves: the request alone is what is wrong.
#[test]
fn an_answer_to_what_must_not_arrive_is_named_in_that() {
    scenario("reply ingress", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let policy = format!(
            "{CONTAINED}[zone.front]\ninterfaces = [\"eth*\"]\n[[rule]]\nname = \"front\"\ndestination = \"10.0.0.2\"\nonly_via = \"front\"\n"
        );
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("pinif.sock");
        let socket = socket.to_str().expect("a path");
        let mut auditor = bench.audit_with(&policy, &["--replies", "--socket", socket]);
        let mut server = server(bench, &format!("--bind 0.0.0.0:5000 --to {PEER}"));
        ask(bench, &bench.chassis.peer, "--to 10.0.0.1:5000");
        server.go();
        let sent = server.finish();
        let whole = auditor.wait_for_finding_that("names", |finding| !finding.related.is_empty());
        // The answer's id may be known from a line before.
        let part = &whole.related[0].id;
        let pinif = env!("CARGO_BIN_EXE_pinif");
        let explained = bench.ask(pinif, &format!("explain {part} --socket {socket}"));
        let named = format!(
            "{part} is named in {}, since its packets are of the same connections:\n",
            whole.id
        );
        assert!(explained.starts_with(&named), "{explained}");
        let accept =
            format!("pinif accept {part} --reason known --until 2999-12-31 --socket {socket}");
        let accepted = bench.shell_output(&accept);
        let refused = format!(
            "pinif: {}; accept that one, and they go with it\n",
            named.trim_end_matches(":\n")
        );
        assert_eq!(accepted.status.code(), Some(1), "{accepted:?}");
        assert_eq!(String::from_utf8_lossy(&accepted.stderr), refused);
        let answer = leak("reply-escape").egress("eth1").packets(1);
        let asked = leak("ingress-escape").rule("front").egress("fab0");
        auditor
            .stop()
            .expect()
            .arrived(asked.by(&sent).packets(1).with(answer))
            .nothing_else();
    });
}

fn an_answer_out_of_a_contained_zone_is_dropped() {
    scenario("reply enforced", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let before = bench.received_outside();
        let auditor = bench.audit_with(CONTAINED, ENFORCE);
        let sent = answer_the_peer(bench);
        assert_eq!(sent.sent, 0, "{sent:?}");
        let report = auditor.stop();
        assert_eq!(bench.received_outside(), before, "{report}");
        let escape = leak("reply-escape").egress("eth1").packets(1000).dropped();
        report
            .expect()
            .finding(escape.by(&sent))
            .total(0)
            .nothing_else();
    });
}

fn an_answer_that_is_a_note_leaves() {
    scenario("reply enforced-note", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let auditor = bench.audit(ENFORCE);
        let sent = answer_the_peer(bench);
        auditor
            .stop()
            .expect()
            .finding(escape(1000).by(&sent))
            .nothing_else();
    });
}

/// Where it is not asked for, nothing is loaded for it, and nothing found.
#[test]
fn replies_are_audited_where_that_is_asked_for() {
    scenario("reply unwanted", &[], |bench| {
        route_outside(bench, "10.0.0.2/32", "192.0.2.2");
        let auditor = bench.audit(&[]);
        answer_the_peer(bench);
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 1000)
            .nothing_else();
    });
}
