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
