//! Remedies of `ingress-escape`. pinif looks before netfilter does, and then at the socket: what is dropped in between is not found.

use super::{WORLD, misled_world};
use crate::bench::arrivals::PORT;
use crate::bench::carry::{COUNT, on_card};
use crate::bench::{Bench, CONTROL_PLANE, Need, Report, leak, scenario};
use pinif_userspace::findings::{alert_state::AlertState, explain::Step, line::FindingLine};

/// What arrives where it should not.
struct Arrival {
    name: &'static str,
    /// The policy.
    policy: &'static str,
    /// What is made of the chassis.
    make: fn(&Bench),
    /// Where the card's socket is bound.
    bind: &'static str,
    /// What the outside sends, and what the peer does.
    sends: [&'static str; 2],
    /// The rule that it breaks.
    rule: Option<&'static str>,
    /// Words that the cause has in it.
    cause: &'static str,
    /// How the remedy begins.
    text: &'static str,
    /// What else the remedy names, in the place of its commands.
    instead: Option<fn(&Bench)>,
}

impl Arrival {
    /// The outside and the peer send to a socket on the card, which is made under the audit.
    fn audited(&self, bench: &Bench) -> Report {
        let auditor = bench.audit_with(self.policy, &[]);
        let bind = self.bind;
        let to = if bind.contains('[') {
            "[fd00::2]:9"
        } else {
            "10.0.0.2:9"
        };
        let socket = format!("--wait-stdin udp --bind {bind}:{PORT} --to {to} --count 0");
        let mut receiver = bench.sender(&socket);
        receiver.wait_for("ready");
        let chassis = &bench.chassis;
        for (from, sends) in [&chassis.outside, &chassis.peer]
            .into_iter()
            .zip(self.sends)
        {
            let before = bench.received();
            let sends = format!("udp {sends}:{PORT} --count {COUNT}");
            bench.far_sender(from, &sends).finish();
            bench.wait_until_received(before, COUNT);
        }
        receiver.go();
        receiver.finish();
        auditor.stop()
    }

    /// It is found; and once the remedy is carried out, nothing is, and the peer still reaches the socket.
    fn is_fixed(&self) {
        scenario(self.name, &[Need::Program("nft")], |bench| {
            (self.make)(bench);
            let report = self.audited(bench);
            let [finding] = &report.findings[..] else {
                panic!("one finding\n{report}");
            };
            let escape = leak("ingress-escape").egress("eth1").packets(COUNT);
            let escape = match self.rule {
                Some(rule) => escape.rule(rule),
                None => escape,
            };
            let sent = finding.process.as_ref().and_then(|process| process.pid);
            let escape = escape.by_program("pinif-sender", sent.expect("the receiver"));
            report.expect().arrived(escape).nothing_else();
            assert!(finding.cause.contains(self.cause), "{}", finding.cause);
            let is_it = |step: &&Step| on_card(finding, &step.text).starts_with(self.text);
            let step = finding.remedies.iter().find(is_it);
            let step = step.unwrap_or_else(|| panic!("{:#?}", finding.remedies));
            match self.instead {
                Some(remedy) => remedy(bench),
                None => {
                    assert!(!step.commands.is_empty(), "{step:#?}");
                    for line in &step.commands {
                        bench.shell(line);
                    }
                }
            }
            self.audited(bench).expect().nothing_else();
        });
    }
}

#[test]
fn what_is_for_another_interfaces_address_is_kept_out() {
    Arrival {
        name: "30 arrival",
        policy: CONTROL_PLANE,
        make: |_| (),
        bind: "10.0.0.1",
        sends: ["--to 10.0.0.1", "--to 10.0.0.1"],
        rule: None,
        cause: "arp_ignore is 0 on eth1, which answers for 10.0.0.1",
        text: "drop on eth1 what is for addresses that eth1 does not have",
        instead: None,
    }
    .is_fixed();
}

#[test]
fn what_is_for_another_interfaces_ipv6_address_is_kept_out() {
    Arrival {
        name: "30 arrival-v6",
        policy: CONTROL_PLANE,
        make: |_| (),
        bind: "[fd00::1]",
        sends: ["--to [fd00::1]", "--to [fd00::1]"],
        rule: None,
        cause: "Linux accepts a packet for fab0's address on any interface (weak host model)",
        text: "drop on eth1 what is for addresses that eth1 does not have",
        instead: None,
    }
    .is_fixed();
}

/// From a neighbour of the backplane, by the front port.
const FOREIGN: [&str; 2] = ["--bind 10.0.0.2 --to 192.0.2.1", "--to 10.0.0.1"];

#[test]
fn what_comes_from_a_source_that_is_routed_elsewhere_is_kept_out() {
    Arrival {
        name: "30 arrival-source",
        policy: CONTROL_PLANE,
        make: |_| (),
        bind: "0.0.0.0",
        sends: FOREIGN,
        rule: Some("control-plane"),
        cause: "rp_filter is ",
        text: "drop on eth1 what comes for 192.0.2.1 from 10.0.0.2",
        instead: None,
    }
    .is_fixed();
}

#[test]
fn the_reverse_path_filter_keeps_out_what_is_routed_elsewhere() {
    Arrival {
        name: "30 arrival-rp-filter",
        policy: CONTROL_PLANE,
        make: |_| (),
        bind: "0.0.0.0",
        sends: FOREIGN,
        rule: Some("control-plane"),
        cause: "rp_filter is ",
        text: "drop on eth1 what comes for 192.0.2.1 from 10.0.0.2",
        instead: Some(|bench| bench.run("sysctl", "-qw net.ipv4.conf.eth1.rp_filter=1")),
    }
    .is_fixed();
}

/// The card itself sends there by the front: a route by the backplane would not keep it out, and led the answers' address along.
#[test]
fn what_is_answered_where_it_arrived_is_kept_out() {
    Arrival {
        name: "30 arrival-routed",
        policy: WORLD,
        make: misled_world,
        bind: "0.0.0.0",
        sends: ["--bind 203.0.113.9 --to 192.0.2.1", "--to 10.0.0.1"],
        rule: Some("world"),
        cause: "route 203.0.113.9/32 via 192.0.2.2 dev eth1 in table main",
        text: "drop on eth1 what comes for 192.0.2.1 from 203.0.113.0/24, to which this host sends via eth1 (`nft 'add table inet \
               pinif_fix; add chain inet pinif_fix arrive { type filter hook prerouting priority -310; }; add rule inet pinif_fix arrive \
               iifname \"eth1\" ip saddr 203.0.113.0/24 ip daddr 192.0.2.1 meta l4proto 17 drop'`)",
        instead: None,
    }
    .is_fixed();
}

/// What sources of elsewhere send.
const PINGS: &str = "ping --bind 203.0.113.9 --to 192.0.2.1";

/// The card is pinged from outside, under a policy.
fn pinged(bench: &Bench, policy: &str) -> Report {
    let auditor = bench.audit_with(policy, &[]);
    let before = bench.received();
    let sends = format!("{PINGS} --count {COUNT}");
    bench.far_sender(&bench.chassis.outside, &sends).finish();
    bench.wait_until_received(before, COUNT);
    auditor.stop()
}

/// The only finding that something arrived.
fn arrived(report: &Report) -> &FindingLine {
    let is_it = |finding: &&FindingLine| finding.kind.name() == "ingress-escape";
    let finding = report.findings.iter().find(is_it).expect("it arrived");
    assert_eq!(finding.packets, COUNT, "{report}");
    finding
}

/// There is no answer any more.
fn unanswered(report: &Report) {
    let answers = report.sent_by("fab0").packets + report.sent_by("eth1").packets;
    assert_eq!(answers, 0, "{report}");
}

/// Nobody but the kernel receives a ping, behind netfilter, and shows nobody that it does. While the policy is enforced, nothing of it
/// comes in; a drop by netfilter ends the answers, and the finding is accepted.
#[test]
fn a_ping_from_a_source_of_elsewhere_is_kept_out_and_accepted() {
    const ACCEPTED: &str = "[[accept]]\nkind = \"ingress-escape\"\nrule = \"world\"\nreason = \"dropped by nft\"\nuntil = 2100-12-31\n";
    for (name, kept) in [
        ("30 arrival-ping", "fib"),
        ("30 arrival-ping-routed", "saddr 203.0.113.0/24"),
    ] {
        scenario(name, &[Need::Program("nft")], |bench| {
            match name {
                "30 arrival-ping" => bench.run("ip", "route add 203.0.113.0/28 via 10.0.0.2"),
                _ => misled_world(bench),
            }
            let report = pinged(bench, WORLD);
            let finding = arrived(&report);
            let [enforce, by_netfilter, ..] = &finding.remedies[..] else {
                panic!("{report}");
            };
            let order = "enforce the policy (pinif audit --enforce,";
            assert!(enforce.text.starts_with(order), "{enforce:#?}");
            let words = "and accept the finding (pinif accept), which does not end by that: pinif sees what no program receives before \
                         netfilter drops it (`";
            assert!(
                by_netfilter.text.contains(words) && by_netfilter.text.contains(kept),
                "{by_netfilter:#?}"
            );

            let before = bench.received();
            let mut auditor = bench.audit_with(WORLD, &["--enforce"]);
            let sends = format!("{PINGS} --count {COUNT}");
            bench.far_sender(&bench.chassis.outside, &sends).finish();
            auditor.wait_for_finding_that("all are dropped", |finding| {
                finding.dropped && finding.packets == COUNT
            });
            let enforced = auditor.stop();
            assert_eq!(bench.received(), before, "{enforced}");
            unanswered(&enforced);
            assert_eq!(enforced.summary.dropped, COUNT, "{enforced}");
            let ended = &arrived(&enforced).remedies[0].text;
            assert!(
                ended.starts_with("end it where it is sent, or accept"),
                "{enforced}"
            );
            let dropped = leak("ingress-escape").egress("eth1").rule("world");
            let dropped = dropped.dropped().packets(COUNT).protocol("icmp");
            enforced.expect().finding(dropped).nothing_else();

            by_netfilter
                .commands
                .iter()
                .for_each(|line| bench.shell(line));
            let report = pinged(bench, &format!("{WORLD}{ACCEPTED}"));
            let [finding] = &report.findings[..] else {
                panic!("the same alone\n{report}");
            };
            unanswered(&report);
            let is_it = (finding.kind.name(), finding.packets, finding.state);
            assert_eq!(
                is_it,
                ("ingress-escape", COUNT, AlertState::Accepted),
                "{report}"
            );
            assert!(report.status.success(), "{report}");
        });
    }
}

/// Nobody receives it, and the kernel's answer leaves with the backplane's address: that is graver, and what it answers is named in it from the
/// first line on.
#[test]
fn what_nobody_receives_is_one_finding_with_its_answer() {
    const ACCEPTED: &str = "[[accept]]\nkind = \"ingress-escape\"\ninterface = \"eth1\"\nreason = \"dropped by nft\"\nuntil = 2100-12-31\n";
    scenario("30 arrival-nobody", &[Need::Program("nft")], |bench| {
        let audited = |policy: &str| {
            let auditor = bench.audit_with(policy, &[]);
            let before = bench.received();
            let sends = format!("udp --to 10.0.0.1:5000 --count {COUNT}");
            bench.far_sender(&bench.chassis.outside, &sends).finish();
            bench.wait_until_received(before, COUNT);
            auditor.stop()
        };
        bench
            .card()
            .set_sysctl("ipv4/icmp_ratelimit", "0")
            .expect("a limit");
        let report = audited(CONTROL_PLANE);
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        let [arrived] = &finding.related[..] else {
            panic!("what arrived is named\n{report}");
        };
        let kinds = (finding.kind.name(), arrived.kind.name());
        assert_eq!(kinds, ("address-escape", "ingress-escape"), "{report}");
        let is_of_it = |line: &String| !line.contains(&*arrived.id) || line.contains(&*finding.id);
        assert!(
            report.lines.iter().all(is_of_it),
            "what arrived was reported by itself\n{report}"
        );
        let [enforce, by_netfilter, ..] = &finding.remedies[..] else {
            panic!("{report}");
        };
        let order = "enforce the policy (pinif audit --enforce,";
        assert!(enforce.text.starts_with(order), "{enforce:#?}");
        let words = "and accept the finding (pinif accept), which does not end by that";
        assert!(by_netfilter.text.contains(words), "{by_netfilter:#?}");
        by_netfilter
            .commands
            .iter()
            .for_each(|line| bench.shell(line));
        let report = audited(&format!("{CONTROL_PLANE}{ACCEPTED}"));
        unanswered(&report);
        let state = |finding: &FindingLine| (finding.kind.name(), finding.state);
        let states: Vec<_> = report.findings.iter().map(state).collect();
        assert_eq!(
            states,
            [("ingress-escape", AlertState::Accepted)],
            "{report}"
        );
    });
}
