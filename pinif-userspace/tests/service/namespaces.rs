//! Several namespaces at once: an index means another interface in each.

use std::collections::BTreeMap;

use crate::bench::plug::plug;
use crate::bench::{Auditor, Bench, CONTROL_PLANE, Report, made, scenario};

/// An auditor of the card and of its peer.
fn audit_both<'a>(bench: &'a Bench, policy: &str, arguments: &[&str]) -> Auditor<'a> {
    let both = ["--netns", bench.chassis.peer.name()];
    bench.audit_with(policy, &[&both, arguments].concat())
}

/// Namespace, bound device, egress interface, verdict.
type Place<'a> = (&'a str, Option<&'a str>, &'a str, &'a str);

fn cells(report: &Report) -> BTreeMap<Place<'_>, u64> {
    let mut cells = BTreeMap::new();
    for cell in &report.summary.matrix {
        let place: Place<'_> = (
            &cell.netns,
            cell.bound_device.as_deref(),
            &cell.egress_interface,
            cell.verdict.name(),
        );
        *cells.entry(place).or_default() += cell.packets;
    }
    cells
}

fn same_index(bench: &Bench, arguments: &[&str]) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    plug(bench, card, "eth2", Some(77));
    plug(bench, peer, "fab2", Some(77));
    assert_eq!(
        card.index("fab0").expect("fab0"),
        peer.index("fab0").expect("fab0")
    );
    let auditor = audit_both(bench, CONTROL_PLANE, arguments);
    let ready = auditor.ready();
    assert_eq!(ready.netns, [card.name(), peer.name()]);
    assert_eq!(
        made(&ready),
        ["lo", "fab0", "eth1", "eth2", "lo", "fab0", "fab2"]
    );

    // What is a leak by the one's interface with this index is contained by the other's.
    let leaking = bench.send("udp --bind-device eth2 --to 10.7.0.2:9 --count 70");
    let there = "udp --bind-device fab2 --to 10.7.0.2:9 --count 30";
    assert_eq!(bench.sender_in(peer, there).finish().sent, 30);
    // And what is bound to fab0 leaves the one by its eth2, the other by its fab2.
    let crossing = bench.send("udp --bind-device fab0 --pktinfo eth2 --to 192.0.2.9:9 --count 20");
    let there = "udp --bind-device fab0 --pktinfo fab2 --to 192.0.2.9:9 --count 10";
    let crossing_there = bench.sender_in(peer, there).finish();

    let report = auditor.stop();
    let (card, peer) = (card.name(), peer.name());
    let expected = BTreeMap::from([
        ((card, Some("eth2"), "eth2", "policy-escape"), 70),
        ((peer, Some("fab2"), "fab2", "contained"), 30),
        ((card, Some("fab0"), "eth2", "device-escape"), 20),
        ((peer, Some("fab0"), "fab2", "device-escape"), 10),
    ]);
    assert_eq!(cells(&report), expected, "{report}");
    let found: BTreeMap<_, _> = report
        .findings
        .iter()
        .map(|finding| {
            let place: Place<'_> = (
                &finding.netns,
                finding.bound_device.as_deref(),
                &finding.egress_interface,
                finding.kind.name(),
            );
            let pid = finding.process.as_ref().expect("a sender").pid;
            (place, (finding.packets, pid.expect("a number")))
        })
        .collect();
    let expected = BTreeMap::from([
        (
            (card, Some("eth2"), "eth2", "policy-escape"),
            (70, leaking.pid),
        ),
        (
            (card, Some("fab0"), "eth2", "device-escape"),
            (20, crossing.pid),
        ),
        (
            (peer, Some("fab0"), "fab2", "device-escape"),
            (10, crossing_there.pid),
        ),
    ]);
    assert_eq!(found, expected, "{report}");
    assert_eq!(report.findings.len(), 3, "{report}");
}

#[test]
fn an_index_is_another_interface_in_another_namespace() {
    scenario("5 same-index-in-two-namespaces", &[], |bench| {
        same_index(bench, &[])
    });
}

#[test]
fn an_index_is_another_interface_in_another_namespace_for_filters() {
    scenario("5 same-index-in-two-namespaces-clsact", &[], |bench| {
        same_index(bench, &["--attach", "clsact"]);
    });
}

#[test]
fn an_interface_that_comes_later_is_of_its_namespace() {
    scenario(
        "service interface-later-in-the-second-namespace",
        &[],
        |bench| {
            let peer = &bench.chassis.peer;
            let mut auditor = audit_both(bench, "", &[]);
            plug(bench, peer, "fab2", Some(77));
            auditor.wait_for_note("fab2 is audited from now on");
            plug(bench, bench.card(), "eth2", Some(77));
            auditor.wait_for_note("eth2 is audited from now on");
            bench.send("udp --bind-device eth2 --to 10.7.0.2:9 --count 70");
            let there = "udp --bind-device fab2 --to 10.7.0.2:9 --count 30";
            assert_eq!(bench.sender_in(peer, there).finish().sent, 30);
            peer.delete_link("fab2").expect("it is there");
            auditor.wait_for_note("fab2 is gone");
            bench.send("udp --bind-device eth2 --to 10.7.0.2:9 --count 5");
            let report = auditor.stop();
            let expected = BTreeMap::from([
                ((bench.card().name(), Some("eth2"), "eth2", "contained"), 75),
                ((peer.name(), Some("fab2"), "fab2", "contained"), 30),
            ]);
            assert_eq!(cells(&report), expected, "{report}");
        },
    );
}
