//! Groups that a program joins where its packets must not leave: the kernel reports none of them, by IGMP or MLD, with what the program
//! chose.

use std::collections::BTreeMap;

use super::{ENFORCE, Outside, eperm, kept};
use crate::bench::joins::{BY_INDEX, IPV4, IPV6};
use crate::bench::{Bench, CONTROL_PLANE, Finding, Report, Sent, leak, scenario, together};

together! {
    without_a_policy:
        a_group_is_not_joined_on_another_interface_than_the_bound_device,
        sources_of_a_group_are_not_named_on_another_interface_than_the_bound_device,
        an_interface_that_is_named_by_an_address_is_not_joined_by,
        a_group_that_names_no_interface_is_joined_on_the_bound_device,
        a_group_is_joined_on_the_bound_device,
        an_unbound_socket_joins_where_no_rule_is_broken;
    under_a_policy:
        an_address_of_a_contained_zone_joins_nothing_outside;
}

/// Groups stay on the backplane.
const RULE: &str = r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "groups"
destination = ["239.0.0.0/8", "ff05::/16"]
only_via = ["backplane"]
"#;

fn join(bench: &Bench, how: &str, options: &str) -> Sent {
    bench.send(&format!("groups --how {how} {options}"))
}

/// Joins, and is refused.
#[track_caller]
fn refused(bench: &Bench, how: &str, options: &str) -> Sent {
    let sent = join(bench, how, options);
    assert_eq!((sent.sent, &sent.refused), (0, &eperm(1)), "{how} {sent:?}");
    sent
}

/// Joins, and the kernel reports it by this interface.
#[track_caller]
fn joined(bench: &Bench, how: &str, options: &str, interface: &str) {
    let sent = || bench.card().sent(interface).expect("the card has it");
    let before = sent().packets;
    let joined = join(bench, how, options);
    assert_eq!(joined.refused, BTreeMap::new(), "{how} {joined:?}");
    bench.wait_until_sent(interface, before + 1);
}

/// That nothing left at all, and there is no packet in any count.
#[track_caller]
fn nothing_left(report: &Report, outside: &Outside<'_>) {
    outside.got_nothing();
    assert_eq!(report.sent_by("eth1").packets, 0, "{report}");
    assert_eq!(report.summary.dropped, 0, "{report}");
}

/// What was tried on another interface, each by a process of its own: all of it is one finding.
fn one_finding(name: &str, attempts: &[(&str, &str)], finding: impl Fn() -> Finding) {
    scenario(name, &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let tries = attempts.iter();
        let tries: Vec<Sent> = tries
            .map(|(how, options)| refused(bench, how, &format!("--bind-device fab0 {options}")))
            .collect();
        let report = auditor.stop();
        nothing_left(&report, &outside);
        let mut expected = report.expect();
        for sent in &tries {
            expected = expected.finding(finding().by(sent));
        }
        expected.total(0).nothing_else();
    });
}

fn a_group_is_not_joined_on_another_interface_than_the_bound_device() {
    let attempts = BY_INDEX.map(|(how, group)| (how, format!("{group} --interface eth1")));
    let attempts: Vec<(&str, &str)> = attempts.iter().map(|(how, all)| (*how, &**all)).collect();
    one_finding("enforce join", &attempts, || {
        kept().cause("the process was to join the group on eth1")
    });
}

fn sources_of_a_group_are_not_named_on_another_interface_than_the_bound_device() {
    let outside = "--group 239.7.7.7 --interface eth1";
    let attempts = [
        ("mcast-block", outside),
        ("mcast-filter", outside),
        ("mcast-filter", "--group ff05::7 --interface eth1"),
        ("source", "--group 239.7.7.7 --address 192.0.2.1"),
        ("block", "--group 239.7.7.7 --address 192.0.2.1"),
        ("filter", "--group 239.7.7.7 --address 192.0.2.1"),
    ];
    one_finding("enforce join-sources", &attempts, kept);
}

fn an_interface_that_is_named_by_an_address_is_not_joined_by() {
    scenario("enforce join-address", &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let by_address = refused(
            bench,
            "mreq",
            &format!("--bind-device fab0 {IPV4} --address 192.0.2.1"),
        );
        // There is no room for an index in these, and a route would choose the interface.
        let by_route = refused(bench, "source", &format!("--bind-device fab0 {IPV4}"));
        joined(
            bench,
            "source",
            &format!("--bind-device fab0 {IPV4} --address 10.0.0.1"),
            "fab0",
        );
        let report = auditor.stop();
        nothing_left(&report, &outside);
        let mut egress: Vec<_> = report.findings.iter().collect();
        egress.sort_by_key(|finding| finding.egress_interface.clone());
        let [any, eth1] = &egress[..] else {
            panic!("{report}")
        };
        for (finding, sent, interface) in [(any, by_route, "*"), (eth1, by_address, "eth1")] {
            assert_eq!(finding.egress_interface, interface, "{report}");
            assert_eq!(finding.socket_cookie, Some(sent.cookie), "{report}");
            assert_eq!(finding.destination, "239.7.7.7", "{report}");
            assert_eq!((finding.packets, finding.dropped), (0, true), "{report}");
        }
        assert!(any.cause.contains("without naming an interface"), "{any:?}");
        assert!(
            eth1.remedy.starts_with("name fab0 where the program joins"),
            "{eth1:?}"
        );
    });
}

/// Where the kernel would ask a route, which leads outside.
fn a_group_that_names_no_interface_is_joined_on_the_bound_device() {
    scenario("enforce join-any", &[], |bench| {
        let auditor = bench.audit(ENFORCE);
        for (how, group) in [
            ("mreq", IPV4),
            ("mreqn", IPV4),
            ("mcast", IPV4),
            ("mreqn", IPV6),
        ] {
            joined(bench, how, &format!("--bind-device fab0 {group}"), "fab0");
        }
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth1").packets, 0, "{report}");
        assert_eq!(report.findings.len(), 0, "{report}");
    });
}

fn a_group_is_joined_on_the_bound_device() {
    scenario("enforce join-inside", &[], |bench| {
        let auditor = bench.audit(ENFORCE);
        for (how, group) in [("mreqn", IPV4), ("mcast-source", "--group 232.7.7.7")] {
            let options = format!("--bind-device fab0 {group} --interface fab0");
            joined(bench, how, &options, "fab0");
        }
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 0, "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
    });
}

fn an_unbound_socket_joins_where_no_rule_is_broken() {
    scenario("enforce join-unbound", &[], |bench| {
        let auditor = bench.audit(ENFORCE);
        joined(bench, "mreqn", &format!("{IPV4} --interface eth1"), "eth1");
        joined(bench, "mreq", IPV4, "eth1");
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 0, "{report}");
    });
}

fn an_address_of_a_contained_zone_joins_nothing_outside() {
    scenario("enforce join-bound-address", &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let options = format!("--bind 10.0.0.1:4000 {IPV4} --interface eth1");
        let sent = refused(bench, "mreqn", &options);
        let report = auditor.stop();
        nothing_left(&report, &outside);
        let escape = leak("address-escape").egress("eth1").dropped();
        let escape = escape.bound_address("10.0.0.1").source("10.0.0.1:4000");
        report
            .expect()
            .finding(escape.by(&sent))
            .total(0)
            .nothing_else();
    });
}

#[test]
fn a_rule_says_where_a_group_may_be_joined() {
    scenario("enforce join-rule", &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(RULE, ENFORCE);
        let sent = refused(bench, "mreqn", &format!("{IPV4} --interface eth1"));
        let second = refused(bench, "mcast", &format!("{IPV6} --interface eth1"));
        // A route chooses the interface, and nobody knows which.
        let by_route = refused(bench, "mreq", IPV4);
        let report = auditor.stop();
        nothing_left(&report, &outside);
        let escape = || leak("policy-escape").rule("groups").dropped();
        report
            .expect()
            .finding(escape().egress("eth1").by(&sent).destination("239.7.7.7"))
            .finding(escape().egress("eth1").by(&second))
            .finding(escape().egress("*").by(&by_route))
            .total(0)
            .nothing_else();

        let auditor = bench.audit_with(RULE, ENFORCE);
        joined(bench, "mreqn", &format!("{IPV4} --interface fab0"), "fab0");
        joined(bench, "mreqn", "--group 238.7.7.7 --interface eth1", "eth1");
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 0, "{report}");

        let auditor = bench.audit_with(&format!("unparsed = \"pass\"\n{RULE}"), ENFORCE);
        joined(bench, "mreq", IPV4, "eth1");
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 0, "{report}");
    });
}

/// The same rule, of one user.
#[test]
fn a_rule_of_a_user_is_of_who_joins() {
    scenario("enforce join-user", &[], |bench| {
        let of = |user: &str| RULE.replace("only_via", &format!("user = [\"{user}\"]\nonly_via"));
        let options = format!("{IPV4} --interface eth1");
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(&of("root"), ENFORCE);
        let sent = refused(bench, "mreqn", &options);
        let report = auditor.stop();
        nothing_left(&report, &outside);
        let escape = leak("policy-escape").rule("groups").egress("eth1");
        report
            .expect()
            .finding(escape.dropped().by(&sent))
            .nothing_else();

        let auditor = bench.audit_with(&of("nobody"), ENFORCE);
        joined(bench, "mreqn", &options, "eth1");
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 0, "{report}");
    });
}

/// And of the cgroup that the socket is in, which is below the one that the rule names.
#[test]
fn a_rule_of_a_cgroup_is_of_who_joins() {
    scenario("enforce join-cgroup", &[], |bench| {
        let cgroup = bench.cgroup();
        let policy = RULE.replace("only_via", &format!("cgroup = [\"{cgroup}\"]\nonly_via"));
        let auditor = bench.audit_with(&policy, ENFORCE);
        let sent = refused(bench, "mreqn", &format!("{IPV4} --interface eth1"));
        let escape = leak("policy-escape").rule("groups").egress("eth1");
        auditor
            .stop()
            .expect()
            .finding(escape.dropped().by(&sent))
            .nothing_else();
    });
}

#[test]
fn groups_are_joined_anywhere_where_nothing_is_enforced() {
    scenario("enforce join-not", &[], |bench| {
        let auditor = bench.audit_with(RULE, &[]);
        let options = format!("--bind-device fab0 {IPV4} --interface eth1");
        joined(bench, "mreqn", &options, "eth1");
        joined(bench, "mreq", &format!("--bind-device fab0 {IPV4}"), "eth1");
        let report = auditor.stop();
        let joins = report.findings.iter();
        let mut joins = joins.filter(|finding| finding.process.is_some());
        assert!(joins.next().is_none(), "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
    });
}

/// Packets and groups of one program are one thing to fix; only packets are counted.
#[test]
fn a_program_that_joins_and_sends_has_one_finding() {
    scenario("enforce join-and-send", &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let options = format!("--bind-device fab0 {IPV4} --interface eth1");
        let first = refused(bench, "mreqn", &options);
        let sent = bench.send(&format!("{} --count 100", super::LEAK));
        assert_eq!((sent.sent, &sent.refused), (0, &eperm(100)), "{sent:?}");
        let report = auditor.stop();
        outside.got_nothing();
        assert_eq!(report.summary.dropped, 100, "{report}");
        report
            .expect()
            .finding(kept().packets(100).by(&sent))
            .finding(kept().by(&first).cause("join the group on eth1"))
            .total(0)
            .nothing_else();
    });
}

/// Another auditor's hook, which runs later, hides nothing of what was put into the option.
#[test]
fn another_auditor_leaves_the_interface_that_was_put_in() {
    scenario("enforce join-two-auditors", &[], |bench| {
        let enforcing = bench.audit(ENFORCE);
        let plain = bench.audit(&[]);
        joined(bench, "mreq", &format!("--bind-device fab0 {IPV4}"), "fab0");
        assert_eq!(plain.stop().sent_by("eth1").packets, 0);
        let report = enforcing.stop();
        assert_eq!(report.findings.len(), 0, "{report}");
    });
}
