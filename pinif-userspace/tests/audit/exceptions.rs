//! Exceptions: a rule with `action = "allow"` silences every kind for what it names, and nothing else.

use pinif_ebpf::verdict::{CellVerdict, Kind};

use crate::bench::{CONTROL_PLANE, Finding, Need, leak, note, scenario, together};

together! {
    exceptions:
        an_override_of_the_bound_device_is_allowed,
        an_address_of_a_contained_zone_is_allowed,
        an_ipv6_address_of_a_contained_zone_is_allowed,
        what_breaks_a_later_rule_is_allowed,
        a_copy_is_allowed,
        a_crossed_bind_is_allowed,
        forwarded_traffic_is_allowed,
        what_would_be_dropped_leaves,
        an_exception_behind_the_rule_that_matches_is_none,
        what_answers_an_allowed_destination_may_arrive,
        a_group_that_is_allowed_is_joined;
}

const NOTHING: &[Need] = &[];
const TC: &[Need] = &[Need::Program("tc")];
const ENFORCE: &[&str] = &["--enforce"];

/// The control plane's policy, behind an exception for what has the destination port 9.
fn excepting() -> String {
    before(CONTROL_PLANE, "port = 9")
}

/// A policy behind an exception for what matches.
fn before(policy: &str, matches: &str) -> String {
    policy.replacen(
        "[[rule]]",
        &format!("[[rule]]\nname = \"exception\"\n{matches}\naction = \"allow\"\n\n[[rule]]"),
        1,
    )
}

/// A thousand packets that an exception names by their source port, and a hundred others: the first are counted as allowed, the others are
/// found.
fn allowed(name: &str, bound: Option<&str>, [send, other]: [&str; 2], found: Finding) {
    scenario(name, NOTHING, |bench| {
        let policy = before(CONTROL_PLANE, "source_port = 4000");
        let auditor = bench.audit_with(&policy, &[]);
        bench.send(&format!("{send} --count 1000"));
        let other = bench.send(&format!("{other} --count 100"));
        auditor
            .stop()
            .expect()
            .allowed(bound, "eth1", 1000)
            .finding(found.egress("eth1").packets(100).by(&other))
            .nothing_else();
    });
}

fn an_override_of_the_bound_device_is_allowed() {
    allowed(
        "allow pktinfo",
        Some("fab0"),
        [
            "udp --bind-device fab0 --bind 0.0.0.0:4000 --pktinfo eth1 --to 10.0.0.2:9",
            "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9",
        ],
        leak("device-escape").bound("fab0"),
    );
}

fn an_address_of_a_contained_zone_is_allowed() {
    allowed(
        "allow address",
        None,
        [
            "udp --bind 10.0.0.1:4000 --to 203.0.113.9:9",
            "udp --bind 10.0.0.1 --to 203.0.113.9:9",
        ],
        leak("address-escape"),
    );
}

fn an_ipv6_address_of_a_contained_zone_is_allowed() {
    allowed(
        "allow address-v6",
        None,
        [
            "udp --bind [fd00::1]:4000 --to [2001:db8:f::9]:9",
            "udp --bind fd00::1 --to [2001:db8:f::9]:9",
        ],
        leak("address-escape"),
    );
}

fn what_breaks_a_later_rule_is_allowed() {
    allowed(
        "allow rule",
        None,
        [
            "udp --bind 0.0.0.0:4000 --to 10.9.0.9:9",
            "udp --to 10.9.0.9:9",
        ],
        leak("policy-escape").rule("control-plane"),
    );
}

fn a_copy_is_allowed() {
    scenario("allow copy", TC, |bench| {
        bench.run("tc", "qdisc add dev fab0 clsact");
        let filter =
            "filter add dev fab0 egress protocol ip u32 match u32 0 0 action mirred egress";
        bench.run("tc", &format!("{filter} mirror dev eth1"));
        let auditor = bench.audit_with(&excepting(), &[]);
        let send = "udp --bind-device fab0 --to 10.0.0.2";
        bench.send(&format!("{send}:9 --count 1000"));
        let other = bench.send(&format!("{send}:10 --count 100"));
        let copy = leak("copy-escape").bound("fab0").egress("eth1");
        auditor
            .stop()
            .expect()
            .allowed(Some("fab0"), "fab0", 1000)
            .contained("fab0", "fab0", 100)
            .allowed(Some("fab0"), "eth1", 1000)
            .finding(copy.packets(100).by(&other))
            .nothing_else();
    });
}

fn a_crossed_bind_is_allowed() {
    scenario("allow crossed", NOTHING, |bench| {
        let policy = "[[rule]]\nname = \"exception\"\nport = 9\naction = \"allow\"\n";
        let auditor = bench.audit_with(policy, &[]);
        let send = "udp --bind-device eth1 --bind 10.0.0.1 --to 203.0.113.9";
        bench.send(&format!("{send}:9 --count 1000"));
        let other = bench.send(&format!("{send}:10 --count 100"));
        let crossed = note("crossed-bind").bound("eth1").egress("eth1");
        auditor
            .stop()
            .expect()
            .allowed(Some("eth1"), "eth1", 1000)
            .finding(crossed.packets(100).by(&other))
            .nothing_else();
    });
}

fn forwarded_traffic_is_allowed() {
    scenario("allow forwarded", NOTHING, |bench| {
        bench.let_forward();
        let policy = before(CONTROL_PLANE, "destination = \"10.9.0.0/16\"");
        let auditor = bench.audit_with(&policy, &[]);
        let send = |to: &str| bench.far_sender(&bench.chassis.peer, to).finish();
        send("udp --to 10.9.0.9:9 --count 1000");
        let other = send("udp --to 10.8.0.8:9 --count 100");
        bench.wait_until_sent("eth1", 1100);
        let port = other
            .local
            .as_deref()
            .and_then(|local| local.rsplit(':').next());
        let leaked = leak("policy-escape")
            .rule("control-plane")
            .egress("eth1")
            .packets(100)
            .source(&format!("10.0.0.2:{}", port.expect("a port")))
            .destination("10.8.0.8:9");
        auditor
            .stop()
            .expect()
            .allowed(None, "eth1", 1000)
            .finding(leaked)
            .nothing_else();
    });
}

fn what_would_be_dropped_leaves() {
    scenario("allow enforced", NOTHING, |bench| {
        let before = bench.received_outside();
        let auditor = bench.audit_with(&excepting(), ENFORCE);
        for send in [
            "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9",
            "udp --bind 10.0.0.1 --to 203.0.113.9:9",
            "udp --to 10.9.0.9:9",
        ] {
            let sent = bench.send(&format!("{send} --count 1000"));
            assert_eq!((sent.sent, sent.refused.len()), (1000, 0), "{sent:?}");
        }
        let other = bench.send("udp --to 10.9.0.9:10 --count 100");
        assert_eq!(other.sent, 0, "{other:?}");
        let report = auditor.stop();
        assert_eq!(bench.received_outside() - before, 3000, "{report}");
        let dropped = leak("policy-escape")
            .rule("control-plane")
            .egress("eth1")
            .dropped();
        report
            .expect()
            .allowed(Some("fab0"), "eth1", 1000)
            .allowed(None, "eth1", 2000)
            .finding(dropped.packets(100).by(&other))
            .total(3000)
            .nothing_else();
    });
}

fn an_exception_behind_the_rule_that_matches_is_none() {
    scenario("allow behind", NOTHING, |bench| {
        let exception = "\n[[rule]]\nname = \"exception\"\nport = 9\naction = \"allow\"\n";
        let auditor = bench.audit_with(&format!("{CONTROL_PLANE}{exception}"), &[]);
        let sent = bench.send("udp --to 10.9.0.9:9 --count 1000");
        let escape = leak("policy-escape").rule("control-plane").egress("eth1");
        auditor
            .stop()
            .expect()
            .finding(escape.packets(1000).by(&sent))
            .nothing_else();
    });
}

/// To the backplane's address, from the outside: a rule speaks of the answer.
fn what_answers_an_allowed_destination_may_arrive() {
    scenario("allow arrived", NOTHING, |bench| {
        let policy = before(
            CONTROL_PLANE,
            "destination = \"192.0.2.2\"\nsource_port = 5000",
        );
        let auditor = bench.audit_with(&policy, &[]);
        let outside = &bench.chassis.outside;
        let mut receivers = [5000, 5001].map(|port| {
            let mut receiver = bench.sender(&format!(
                "--wait-stdin udp --bind 10.0.0.1:{port} --to 10.0.0.2:9 --count 0"
            ));
            receiver.wait_for("ready");
            receiver
        });
        for (port, count) in [(5000, 1000), (5001, 100)] {
            let before = bench.received();
            let send = format!("udp --to 10.0.0.1:{port} --count {count}");
            bench.far_sender(outside, &send).finish();
            bench.wait_until_received(before, count);
        }
        for receiver in &mut receivers {
            receiver.go();
        }
        let [_, other] = receivers.map(|receiver| receiver.finish());
        let escape = leak("ingress-escape").egress("eth1").packets(100);
        auditor
            .stop()
            .expect()
            .arrived(escape.by(&other).destination("10.0.0.1:5001"))
            .nothing_else();
    });
}

fn a_group_that_is_allowed_is_joined() {
    scenario("allow group", NOTHING, |bench| {
        let policy =
            "[[rule]]\nname = \"exception\"\ndestination = \"239.1.1.1\"\naction = \"allow\"\n";
        let auditor = bench.audit_with(policy, ENFORCE);
        let before = bench.card().sent("eth1").expect("the card has it").packets;
        let join = "groups --how mreqn --bind-device fab0 --interface eth1 --group";
        let joined = bench.send(&format!("{join} 239.1.1.1"));
        assert_eq!(joined.refused.len(), 0, "{joined:?}");
        bench.wait_until_sent("eth1", before + 1);
        let refused = bench.send(&format!("{join} 239.1.1.2"));
        assert_eq!(refused.sent, 0, "{refused:?}");
        let report = auditor.stop();
        // How often the kernel reports a group is a matter of time.
        let mut cells = report.summary.matrix.iter();
        assert!(
            cells.all(|cell| cell.verdict == CellVerdict::Contained && !cell.dropped),
            "{report}"
        );
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(
            (finding.kind, &*finding.destination, finding.socket_cookie),
            (Kind::DeviceEscape, "239.1.1.2", Some(refused.cookie)),
            "{report}"
        );
    });
}

/// What was found before is a finding, what comes under the exception is none, and what comes after it is one again: no cached verdict
/// outlives the policy that it is of.
#[test]
fn an_exception_comes_into_force_and_goes() {
    scenario("allow reload", NOTHING, |bench| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let write = |policy: &str| std::fs::write(file.path(), policy).expect("it is ours");
        write(CONTROL_PLANE);
        let path = file.path().to_str().expect("UTF-8");
        let mut auditor = bench.audit(&["--policy", path]);
        let mut sender = bench.sender("udp --to 10.9.0.9:9 --count 3000 --pause-after 1000");
        sender.wait_for("paused");
        write(&excepting());
        auditor.wait_for_note("a new policy is in force: 2 zones, 2 rules");
        sender.go();
        let sent = sender.finish();
        write(CONTROL_PLANE);
        auditor.wait_for_note("a new policy is in force: 2 zones, 1 rule");
        let again = bench.send("udp --to 10.9.0.9:9 --count 500");
        let escape = || leak("policy-escape").rule("control-plane").egress("eth1");
        auditor
            .stop()
            .expect()
            .finding(escape().packets(1000).by(&sent))
            .finding(escape().packets(500).by(&again))
            .allowed(None, "eth1", 2000)
            .nothing_else();
    });
}
