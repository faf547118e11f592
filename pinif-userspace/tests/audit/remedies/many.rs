//! One wrong route, and many destinations: one finding, whose remedy ends it for all of them.

use nix::sys::signal::Signal;

use crate::bench::carry::on_card;
use crate::bench::{Bench, Need, Report, scenario};
use pinif_userspace::findings::line::FindingLine;

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

const BACKPLANE: &str = "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"test\"\ndestination = [\"198.18.0.0/15\", \
                         \"fd00::/64\"]\nonly_via = [\"backplane\"]\n";

/// A finding of several causes: each is named, and each remedy ends them all.
struct Several {
    name: &'static str,
    make: fn(&Bench),
    sends: &'static [&'static str],
    /// What the cause has in it.
    causes: &'static [&'static str],
    /// How the remedies begin that a shell carries out.
    texts: &'static [&'static str],
    /// How many packets the first of them does nothing for, as it says.
    left: u64,
}

impl Several {
    fn sent(&self, bench: &Bench) -> Report {
        let auditor = bench.audit_with(BACKPLANE, &[]);
        self.sends.iter().for_each(|one| drop(bench.send(one)));
        auditor.stop()
    }

    fn found(&self, bench: &Bench) -> FindingLine {
        let report = self.sent(bench);
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(finding.kind.name(), "policy-escape", "{report}");
        finding.clone()
    }

    fn is_fixed(&self) {
        for (number, text) in self.texts.iter().enumerate() {
            let name = format!("{} remedy {}", self.name, number + 1);
            scenario(&name, &[Need::Program("ip")], |bench| {
                bench.run("ip", "route add default via 10.0.0.2 dev fab0 metric 50");
                (self.make)(bench);
                let all = self.sends.len() as u64;
                let finding = self.found(bench);
                assert_eq!(finding.packets, all, "{finding:#?}");
                for cause in self.causes {
                    assert!(finding.cause.contains(cause), "{}", finding.cause);
                }
                let step = &finding.remedies[number];
                let is = on_card(&finding, &step.text);
                assert!(is.starts_with(text), "{:#?}", finding.remedies);
                step.commands.iter().for_each(|line| bench.shell(line));
                if self.left > 0 {
                    // What was said to be left is all that is.
                    let finding = self.found(bench);
                    assert_eq!(finding.packets, self.left, "{finding:#?}");
                    let lines = &finding.remedies[0].commands;
                    lines.iter().for_each(|line| bench.shell(line));
                }
                let report = self.sent(bench);
                assert!(report.findings.is_empty(), "{report}");
                assert_eq!(report.sent_by("fab0").packets, all, "{report}");
            });
        }
    }
}

#[test]
fn each_family_gets_a_route() {
    Several {
        name: "30 many-families",
        make: |bench| {
            bench.run("ip", "route add 198.18.0.1 via 192.0.2.2 dev eth1");
            bench.run("ip", "-6 route add fd00::2 via 2001:db8::2 dev eth1");
        },
        sends: &[
            "udp --to 198.18.0.1:9 --count 1",
            "udp --to [fd00::2]:9 --count 1",
        ],
        causes: &[
            "route 198.18.0.1/32 via 192.0.2.2 dev eth1 in table main; most likely route fd00::2/128 via 2001:db8::2 dev eth1 in table \
             main, for fd00::2",
        ],
        texts: &[
            "give 198.18.0.1 a route via fab0, and fd00::2 a route via fab0 (`ip route replace 198.18.0.1 via 10.0.0.2 dev fab0; ip -6 \
             route replace fd00::2 dev fab0`)",
        ],
        left: 0,
    }
    .is_fixed();
}

/// Two wrong routes, and more hosts behind the second: the one that leads home is for all of them.
#[test]
fn each_wrong_route_is_named() {
    Several {
        name: "30 many-routes",
        make: |bench| {
            bench.run("ip", "route add 198.18.0.0/24 via 192.0.2.2 dev eth1");
            bench.run("ip", "route add 198.18.1.0/24 via 192.0.2.2 dev eth1");
        },
        sends: &[
            "udp --to 198.18.0.1:9 --count 1",
            "udp --to 198.18.1.1:9 --count 1",
            "udp --to 198.18.1.2:9 --count 1",
        ],
        causes: &[
            "route 198.18.0.0/24 via 192.0.2.2 dev eth1 in table main; most likely route 198.18.1.0/24 via 192.0.2.2 dev eth1 in table \
             main, for 198.18.1.1 and 198.18.1.2",
        ],
        texts: &[
            "give 198.18.0.1 and 2 other destinations a route via fab0 (`ip route replace 198.18.0.1 via 10.0.0.2 dev fab0; ip route \
             replace 198.18.1.1 via 10.0.0.2 dev fab0; ip route replace 198.18.1.2 via 10.0.0.2 dev fab0`)",
        ],
        left: 0,
    }
    .is_fixed();
}

/// The end of the audit is the first that pinif sees of it.
#[test]
fn what_is_first_read_at_the_end_has_all_its_causes() {
    scenario("30 many-end", &[Need::Program("ip")], |bench| {
        bench.run("ip", "route add 198.18.0.0/24 via 192.0.2.2 dev eth1");
        bench.run("ip", "route add 198.18.1.0/24 via 192.0.2.2 dev eth1");
        let auditor = bench.audit_with(BACKPLANE, &[]);
        auditor.signal(Signal::SIGSTOP);
        for to in ["198.18.0.1:9", "198.18.1.1:9"] {
            bench.send(&format!("udp --to {to} --count 1"));
        }
        // The second waits for the first to let it go on.
        auditor.signal(Signal::SIGTERM);
        auditor.signal(Signal::SIGCONT);
        let report = auditor.over();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        let cause = &finding.cause;
        assert!(cause.contains("route 198.18.0.0/24"), "{cause}");
        assert!(cause.contains("route 198.18.1.0/24"), "{cause}");
    });
}

/// A marked packet is led outside by a rule, and another by a route of the main table.
fn by_rule_and_route(bench: &Bench) {
    super::misled(bench, "pref 90 fwmark 0x20");
    bench.run("ip", "route replace default via 10.0.0.2 dev fab0");
    bench.run("ip", "route add 198.18.3.0/24 via 192.0.2.2 dev eth1");
}

#[test]
fn a_rules_table_and_the_main_one_each_get_a_route() {
    Several {
        name: "30 many-rules",
        make: by_rule_and_route,
        sends: &[
            "udp --mark 32 --to 198.18.2.1:9 --count 1",
            "udp --to 198.18.3.1:9 --count 1",
        ],
        causes: &[
            "rule 90 (fwmark 0x20) sent it to table 100, whose default route via 192.0.2.2 leaves via eth1; most likely route \
             198.18.3.0/24 via 192.0.2.2 dev eth1 in table main, for 198.18.3.1",
        ],
        texts: &[
            "give 198.18.0.0/15 a route via fab0 in table 100, and 198.18.3.0/24 a route via fab0 (`ip route replace 198.18.0.0/15 via \
             10.0.0.2 dev fab0 table 100; ip route replace 198.18.3.0/24 via 10.0.0.2 dev fab0`)",
            "keep 198.18.0.0/15 out of rule 90 (fwmark 0x20), and give 198.18.3.0/24 a route via fab0 (`ip rule add ",
        ],
        left: 0,
    }
    .is_fixed();
}

/// The other way round: the first packet has no mark, and nobody knows that the other had one.
#[test]
fn what_a_mark_that_is_not_known_led_is_said_to_be_left() {
    Several {
        name: "30 many-unknown",
        make: by_rule_and_route,
        sends: &[
            "udp --to 198.18.3.1:9 --count 1",
            "udp --mark 32 --to 198.18.2.1:9 --count 1",
        ],
        causes: &["route 198.18.3.0/24 via 192.0.2.2 dev eth1 in table main"],
        texts: &[
            "give 198.18.3.0/24 a route via fab0, which does nothing for 198.18.2.1 (`ip route replace 198.18.3.0/24 via 10.0.0.2 dev fab0`)",
        ],
        left: 1,
    }
    .is_fixed();
}
