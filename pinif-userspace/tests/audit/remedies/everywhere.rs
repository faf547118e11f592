//! Remedies of what each link has: broadcasts, and what IPv6 sends to the groups of a link.

use super::policies::escape;
use crate::bench::carry::{Mistake, Then, developer, on_card, operator};
use crate::bench::{Bench, Events, Need, scenario, wait_until};
use pinif_userspace::findings::explain::Step;
use std::time::Duration;

/// Broadcasts stay on the backplane.
const BROADCASTS: &str = r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "broadcasts"
destination = ["255.255.255.255/32"]
only_via = ["backplane"]
"#;

/// A link that resolves no addresses sends broadcasts to itself (`arp_constructor`).
fn broadcasts(bench: &Bench) {
    bench.card().set_arp("fab0", true).expect("fab0");
}

#[test]
fn a_broadcast_is_led_where_it_belongs() {
    Mistake {
        cause: "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        policy: Some(BROADCASTS),
        make: broadcasts,
        remedies: vec![
            operator(
                "give 255.255.255.255 a route via fab0 (`ip route replace 255.255.255.255 dev fab0`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0 with SO_BINDTODEVICE", Then::Peer),
        ],
        ..escape(
            "30 broadcast",
            "udp --broadcast --to 255.255.255.255:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The address chooses the interface of a broadcast as it does of a group.
#[test]
fn a_source_that_chooses_the_interface_of_a_broadcast_is_named() {
    Mistake {
        cause: "its source 192.0.2.1 is eth1's, which chooses the interface for a group or a broadcast address without a route",
        policy: Some(BROADCASTS),
        make: broadcasts,
        remedies: vec![developer(
            "let the program send from 10.0.0.1, fab0's address",
            Then::Peer,
        )],
        ..escape(
            "30 broadcast-bound",
            "udp --broadcast --bind 192.0.2.1 --to 255.255.255.255:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A rule that somebody wrote who did not think of what each link has.
fn policy(destination: &str, exception: &str) -> String {
    format!(
        "[zone.backplane]\ninterfaces = [\"fab*\"]\n{exception}\n[[rule]]\nname = \"groups\"\ndestination = [\"{destination}\"]\n\
         only_via = [\"backplane\"]\n"
    )
}

/// What the finding says to put before that.
const EXCEPTION: &str = r#"
[[rule]]
name = "of-each-link"
action = "allow"
protocol = ["icmpv6"]
destination = ["ff02::/16"]
"#;

/// What the kernel sends by eth1 to the groups of a link, whatever the routes are.
struct OfLink {
    name: &'static str,
    /// What the rule is for.
    destination: &'static str,
    cause: &'static str,
    except: &'static str,
    drop: &'static str,
    /// Has the kernel send it, again with each number.
    solicit: fn(&Bench, u8),
    /// How nft(8) matches it.
    matched: &'static str,
}

impl OfLink {
    fn is_excepted_or_dropped(&self) {
        scenario(&format!("{} remedy 1", self.name), &[], |bench| {
            self.find(bench);
            let auditor = bench.audit_with(&policy(self.destination, EXCEPTION), &[]);
            let sent = bench.card().sent("eth1").expect("eth1").packets;
            (self.solicit)(bench, 2);
            bench.wait_until_sent("eth1", sent + 1);
            let report = auditor.stop();
            assert!(report.findings.is_empty(), "{report}");
            assert!(report.sent_by("eth1").packets > 0, "{report}");
        });
        let nft = [Need::Program("nft")];
        scenario(&format!("{} remedy 2", self.name), &nft, |bench| {
            let steps = self.find(bench);
            for line in &steps[1].commands {
                bench.shell(line);
            }
            let auditor = bench.audit_with(&policy(self.destination, ""), &[]);
            // Before it is dropped.
            bench.run("nft", "add table ip6 lab");
            bench.run(
                "nft",
                "add chain ip6 lab seen { type filter hook postrouting priority 100 ; }",
            );
            let rule = format!(
                "add rule ip6 lab seen oifname eth1 {} counter",
                self.matched
            );
            bench.run("nft", &rule);
            (self.solicit)(bench, 2);
            // nftables gives no event of a counter.
            let often = Events::every(Duration::from_millis(20));
            wait_until("it is dropped", &often, || {
                !bench
                    .ask("nft", "list chain ip6 lab seen")
                    .contains("packets 0")
            });
            let report = auditor.stop();
            assert!(report.findings.is_empty(), "{report}");
        });
    }

    /// Its remedies.
    fn find(&self, bench: &Bench) -> Vec<Step> {
        // A link that resolves no addresses has no neighbour discovery, and no groups for that.
        bench.card().set_arp("eth1", true).expect("eth1");
        let mut auditor = bench.audit_with(&policy(self.destination, ""), &[]);
        (self.solicit)(bench, 1);
        auditor.wait_for_finding("policy-escape");
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(
            (finding.kind.name(), finding.cause.as_str()),
            ("policy-escape", self.cause)
        );
        let [except, drop] = &finding.remedies[..] else {
            panic!("two remedies\n{report}");
        };
        assert_eq!(except.text, self.except);
        let text = on_card(finding, &drop.text);
        assert!(text.starts_with(self.drop), "{text}");
        finding.remedies.clone()
    }
}

/// The kernel asks for a neighbour of eth1 that nobody has named.
#[test]
fn neighbour_discovery_is_of_each_link() {
    OfLink {
        name: "30 neighbour-discovery",
        destination: "ff02::1:ff00:0/104",
        cause: "neighbour discovery by the kernel",
        except: "keep neighbour discovery out of rule groups, since each link with IPv6 has that: a rule before it with action = \
                 \"allow\", protocol = [\"icmpv6\"], destination = [\"ff02::/16\"]",
        drop: "drop it where it leaves via eth1, which ends IPv6 there (`nft ",
        solicit: |bench, number| {
            bench.send(&format!("udp --to [2001:db8::7{number}]:7009"));
        },
        matched: "icmpv6 type nd-neighbor-solicit",
    }
    .is_excepted_or_dropped();
}

/// With each address, the kernel joins a group by which neighbours ask for it, and reports that.
#[test]
fn reports_of_the_kernels_own_groups_are_of_each_link() {
    OfLink {
        name: "30 listener-reports",
        destination: "ff02::16/128",
        cause: "the kernel's report of group memberships (IGMP, MLD)",
        except: "keep reports of groups out of rule groups, since each link with IPv6 has that: a rule before it with action = \
                 \"allow\", protocol = [\"icmpv6\"], destination = [\"ff02::/16\"]",
        drop: "drop it where it leaves via eth1 (`nft ",
        solicit: |bench, number| {
            let add = format!("-6 address add 2001:db8::7{number}/64 nodad dev eth1");
            bench.run("ip", &add);
        },
        matched: "icmpv6 type mld2-listener-report",
    }
    .is_excepted_or_dropped();
}
