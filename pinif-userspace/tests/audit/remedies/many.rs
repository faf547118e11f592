//! One wrong route, and many destinations: one finding, whose remedy ends it for all of them.

use crate::bench::carry::on_card;
use crate::bench::{Bench, Need, Report, scenario};

const MANY: u64 = 8;

/// What is sent to as many hosts, and what that leads to.
fn sent(bench: &Bench, policy: &str) -> Report {
    let auditor = bench.audit_with(policy, &[]);
    for host in 1..=MANY {
        bench.send(&format!("udp --to 198.18.0.{host}:9 --count 1"));
    }
    auditor.stop()
}

/// The router of fab0 is known, and a route of a shorter prefix than the rule leads outside.
fn fixed(name: &str, route: &str, rule: &str, text: &str, lines: &[String]) {
    scenario(name, &[Need::Program("ip")], |bench| {
        bench.run("ip", "route add default via 10.0.0.2 dev fab0 metric 50");
        bench.run("ip", &format!("route add {route} dev eth1 via 192.0.2.2"));
        let policy = format!(
            "[zone.backplane]\ninterfaces = [\"fab*\"]\n\
             [[rule]]\nname = \"test\"\ndestination = [\"198.18.0.0/15\"]\nonly_via = [\"backplane\"]\n{rule}"
        );
        let report = sent(bench, &policy);
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(
            (finding.kind.name(), finding.packets),
            ("policy-escape", MANY),
            "{report}"
        );
        let step = finding.remedies.first().expect("a remedy");
        let is = on_card(finding, &step.text);
        assert!(is.starts_with(text), "{step:#?}");
        let commands = step.commands.iter().map(|line| on_card(finding, line));
        assert_eq!(commands.collect::<Vec<_>>(), lines);
        step.commands.iter().for_each(|line| bench.shell(line));
        let report = sent(bench, &policy);
        assert!(report.findings.is_empty(), "{report}");
        assert_eq!(report.sent_by("fab0").packets, MANY, "{report}");
    });
}

#[test]
fn a_route_whose_network_is_the_rules_is_led_home_as_a_whole() {
    for (name, route, metric) in [
        ("30 many-network", "198.18.0.0/16 metric 100", " metric 100"),
        ("30 many-default", "198.0.0.0/8", ""),
    ] {
        let network = match metric {
            "" => "198.18.0.0/15",
            _ => "198.18.0.0/16",
        };
        fixed(
            name,
            route,
            "",
            &format!("give {network} a route via fab0 (`ip "),
            &[format!(
                "ip route replace {network} via 10.0.0.2 dev fab0{metric}"
            )],
        );
    }
}

/// What else goes there by that route is not the rule's.
#[test]
fn each_destination_of_a_finding_gets_a_route() {
    let line = |host| format!("ip route replace 198.18.0.{host} via 10.0.0.2 dev fab0");
    let lines: Vec<String> = (1..=MANY).map(line).collect();
    fixed(
        "30 many-hosts",
        "198.18.0.0/16",
        "protocol = \"udp\"\n",
        "give 198.18.0.1 and 7 other destinations a route via fab0 (`ip ",
        &lines,
    );
}

/// Where a finding has several causes, its remedies are those of the first: what they do nothing for, is said.
fn beside(name: &'static str, make: fn(&Bench), sends: [&str; 2], rest: &[&str]) {
    let policy = "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"test\"\ndestination = [\"198.18.0.0/15\", \
                  \"fd00::/64\"]\nonly_via = [\"backplane\"]\n";
    scenario(name, &[Need::Program("ip")], |bench| {
        bench.run("ip", "route add default via 10.0.0.2 dev fab0 metric 50");
        make(bench);
        let auditor = bench.audit_with(policy, &[]);
        sends.iter().for_each(|one| drop(bench.send(one)));
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(
            (finding.kind.name(), finding.packets),
            ("policy-escape", 2),
            "{report}"
        );
        let texts = finding.remedies.iter();
        let texts: Vec<_> = texts.map(|step| on_card(finding, &step.text)).collect();
        assert!(texts.len() >= rest.len(), "{texts:#?}");
        for (text, rest) in texts.iter().zip(rest) {
            assert!(text.starts_with(rest), "{texts:#?}");
        }
        // What was said to be left is all that is.
        let lines = &finding.remedies[0].commands;
        lines.iter().for_each(|line| bench.shell(line));
        let auditor = bench.audit_with(policy, &[]);
        sends.iter().for_each(|one| drop(bench.send(one)));
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(finding.packets, 1, "{report}");
        let lines = &finding.remedies[0].commands;
        lines.iter().for_each(|line| bench.shell(line));
        let auditor = bench.audit_with(policy, &[]);
        sends.iter().for_each(|one| drop(bench.send(one)));
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
        assert_eq!(report.sent_by("fab0").packets, 2, "{report}");
    });
}

#[test]
fn a_route_of_one_family_does_nothing_for_the_other() {
    beside(
        "30 many-families",
        |bench| {
            bench.run("ip", "route add 198.18.0.1 via 192.0.2.2 dev eth1");
            bench.run("ip", "-6 route add fd00::2 via 2001:db8::2 dev eth1");
        },
        [
            "udp --to 198.18.0.1:9 --count 1",
            "udp --to [fd00::2]:9 --count 1",
        ],
        &[
            "give 198.18.0.1 a route via fab0, which does nothing for fd00::2 (`ip route replace 198.18.0.1 via 10.0.0.2 dev fab0`)",
        ],
    );
}

#[test]
fn a_route_in_a_rules_table_does_nothing_for_others() {
    beside(
        "30 many-rules",
        |bench| {
            super::misled(bench, "pref 90 fwmark 0x20");
            bench.run("ip", "route replace default via 10.0.0.2 dev fab0");
            bench.run("ip", "route add 198.18.3.0/24 via 192.0.2.2 dev eth1");
        },
        [
            "udp --mark 32 --to 198.18.2.1:9 --count 1",
            "udp --to 198.18.3.1:9 --count 1",
        ],
        &[
            "give 198.18.0.0/15 a route via fab0 in table 100, which does nothing for what other rules lead (`ip route replace \
             198.18.0.0/15 via 10.0.0.2 dev fab0 table 100`)",
            "keep 198.18.0.0/15 out of rule 90 (fwmark 0x20), which does nothing for what other rules lead (`ip rule add ",
        ],
    );
}
