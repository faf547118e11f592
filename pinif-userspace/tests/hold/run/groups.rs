//! Groups are joined on the device, or not at all: the kernel reports each, with data that the process chose.

use std::collections::BTreeMap;

use super::INSIDE;
use crate::bench::joins::{BY_INDEX, IPV4};
use crate::bench::{Bench, Held, scenario};

fn join(bench: &Bench, how: &str, options: &str) -> Held {
    bench.send_held(&format!("groups --how {how} {options}"))
}

/// The interfaces that are in the group.
fn members(held: &Held) -> Vec<String> {
    let said = String::from_utf8_lossy(&held.output.stdout);
    let members = said.lines().filter_map(|line| line.strip_prefix("member "));
    members.map(str::to_owned).collect()
}

#[test]
fn a_group_on_another_interface_is_refused_and_reported() {
    for (how, group) in BY_INDEX {
        let family = if group.contains("::") { "6" } else { "" };
        scenario(&format!("run join-outside-{how}{family}"), &[], |bench| {
            let held = join(bench, how, &format!("{group} --interface eth1"));
            let refused = BTreeMap::from([("EPERM".to_owned(), 1)]);
            assert_eq!(held.sent().refused, refused, "{held:?}");
            assert!(!members(&held).contains(&"eth1".to_owned()), "{held:?}");
            assert_eq!((held.account.refused, held.account.refused_joins), (0, 1));
            let [attempt] = &held.account.attempts[..] else {
                panic!("{held:?}")
            };
            assert_eq!((&*attempt.comm, &*attempt.what), ("pinif-sender", "join"));
            assert!(attempt.index.is_some(), "{held:?}");
        });
    }
}

#[test]
fn a_group_that_names_no_interface_is_joined_on_the_device() {
    for (how, group) in BY_INDEX {
        let family = if group.contains("::") { "6" } else { "" };
        scenario(&format!("run join-any-{how}{family}"), &[], |bench| {
            is_joined(&join(bench, how, group));
        });
    }
    for how in ["mreq", "source"] {
        for (name, address) in [
            ("any", ""),
            ("own", "--address 10.0.0.1"),
            ("outside", "--address 192.0.2.1"),
        ] {
            scenario(&format!("run join-{name}-{how}"), &[], |bench| {
                is_joined(&join(bench, how, &format!("{IPV4} {address}")));
            });
        }
    }
}

#[test]
fn a_group_on_the_device_is_joined() {
    for (how, group) in BY_INDEX {
        let family = if group.contains("::") { "6" } else { "" };
        scenario(&format!("run join-inside-{how}{family}"), &[], |bench| {
            is_joined(&join(bench, how, &format!("{group} --interface fab0")));
        });
    }
}

fn is_joined(held: &Held) {
    assert_eq!(held.sent().refused, BTreeMap::new(), "{held:?}");
    assert_eq!(members(held), ["fab0"], "{held:?}");
    assert_eq!((held.account.refused, held.account.refused_joins), (0, 0));
}

/// An auditor's hook at a cgroup above runs after the pin's.
#[test]
fn an_auditor_above_a_pin_leaves_the_device_that_was_put_in() {
    for (name, arguments) in [("audited", &[][..]), ("enforced", &["--enforce"])] {
        scenario(&format!("run join-any-{name}"), &[], |bench| {
            let auditor = bench.audit(arguments);
            for how in ["mreq", "mreqn", "mcast", "source"] {
                is_joined(&join(bench, how, IPV4));
            }
            let report = auditor.stop();
            assert_eq!(report.findings.len(), 0, "{report}");
        });
    }
}

#[test]
fn with_leave_to_rebind_a_group_may_be_joined_elsewhere() {
    scenario("run join-allowed", &[], |bench| {
        let mut run = bench.pinned("fab0", "--allow-rebind");
        let arguments = format!("groups --how mreqn {IPV4} --interface eth1");
        run.arg(*crate::bench::SENDER);
        run.args(arguments.split_whitespace());
        let held = bench.held(run);
        assert_eq!(members(&held), ["eth1"], "{held:?}");
    });
}

/// Neighbours of another interface are not asked for: the packet that would need one is dropped before the kernel looks for it.
#[test]
fn no_neighbour_is_looked_for_on_another_interface() {
    scenario("run neighbours", &[], |bench| {
        let (held, outside) = bench.outside_while(|| {
            bench.send_held("udp --to [fe80::6461:7461]:9 --scope eth1 --count 10")
        });
        let refused = BTreeMap::from([("EPERM".to_owned(), 10)]);
        assert_eq!((held.sent().refused, outside), (refused, 0), "{held:?}");
        let asked = bench.card().run(|| {
            std::process::Command::new("ip")
                .args(["-6", "neigh", "show", "dev", "eth1"])
                .output()
        });
        let asked = asked.expect("the card is there").expect("ip");
        let asked = String::from_utf8_lossy(&asked.stdout).into_owned();
        assert!(!asked.contains("fe80::6461:7461"), "{asked}");
        let inside = bench.send_held(&format!("udp --to {INSIDE}"));
        assert_eq!(inside.sent().sent, 1, "{inside:?}");
    });
}
