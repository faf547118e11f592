//! Attaching by filters, as before Linux 6.6: they outlive a killed auditor, and stand among other people's.

use pinif_userspace::findings::ready::Attach;

use crate::bench::{Auditor, Bench, Finding, Need, leak, risk, scenario};

const TC: &[Need] = &[Need::Program("tc")];
const CLSACT: &[&str] = &["--attach", "clsact"];

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
const RISK: &str = "udp --bind 10.0.0.1 --to 203.0.113.9:9";
const CONTAINED: &str = "udp --bind-device fab0 --to 10.0.0.2:9";

/// The filters at the egress of one of the card's links.
fn filters(bench: &Bench, link: &str) -> String {
    bench.ask("tc", &format!("filter show dev {link} egress"))
}

/// How many of them are pinif's, on each of the card's links.
fn ours(bench: &Bench) -> [usize; 3] {
    ["lo", "fab0", "eth1"].map(|link| {
        filters(bench, link)
            .matches("pinif_egress direct-action")
            .count()
    })
}

/// Sends what an auditor that counts it once, and nothing else, is pleased with.
fn send_and_stop(bench: &Bench, auditor: Auditor<'_>) {
    send_and_stop_with(bench, auditor, None);
}

/// The same, of an auditor that finds this too.
fn send_and_stop_with(bench: &Bench, auditor: Auditor<'_>, more: Option<Finding>) {
    let escaped = bench.send(&format!("{LEAK} --count 1000"));
    let sent = bench.send(&format!("{RISK} --count 500"));
    bench.send(&format!("{CONTAINED} --count 100"));
    let escape = leak("device-escape").bound("fab0").egress("eth1");
    let address_escape = risk("address-escape").egress("eth1");
    let report = auditor.stop();
    let expected = match more {
        Some(more) => report.expect().finding(more),
        None => report.expect(),
    };
    expected
        .finding(escape.packets(1000).by(&escaped))
        .finding(address_escape.packets(500).by(&sent))
        .contained("fab0", "fab0", 100)
        .nothing_else();
}

#[test]
fn filters_find_the_same_and_go_with_the_auditor() {
    scenario("service clsact", TC, |bench| {
        let auditor = bench.audit(CLSACT);
        assert_eq!(auditor.ready().attach, Attach::Clsact);
        assert_eq!(ours(bench), [1, 1, 1]);
        send_and_stop(bench, auditor);
        assert_eq!(ours(bench), [0, 0, 0]);
    });
}

#[test]
fn what_a_killed_auditor_left_counts_nothing_twice() {
    scenario("service clsact-killed", TC, |bench| {
        bench.audit(CLSACT).kill();
        assert_eq!(ours(bench), [1, 1, 1], "a filter outlives its auditor");
        let auditor = bench.audit(CLSACT);
        assert_eq!(ours(bench), [1, 1, 1]);
        send_and_stop(bench, auditor);
        assert_eq!(ours(bench), [0, 0, 0]);
    });
}

#[test]
fn an_auditor_that_runs_keeps_its_filters() {
    scenario("service clsact-two", TC, |bench| {
        let first = bench.audit(CLSACT);
        let second = bench.audit(CLSACT);
        assert_eq!(ours(bench), [2, 2, 2]);
        second.stop().expect().nothing_else();
        assert_eq!(ours(bench), [1, 1, 1]);
        send_and_stop(bench, first);
        assert_eq!(ours(bench), [0, 0, 0]);
    });
}

/// An auditor beside a filter of somebody's own; whether it says that it comes after that.
fn beside(bench: &Bench, filter: &str, arguments: &[&str], is_behind: bool) {
    bench.run("tc", "qdisc add dev eth1 clsact");
    bench.run("tc", &format!("filter add dev eth1 egress {filter}"));
    let before = filters(bench, "eth1");
    assert!(!before.is_empty());
    let auditor = bench.audit(arguments);
    let while_it_runs = filters(bench, "eth1");
    assert!(while_it_runs.contains(before.trim()), "{while_it_runs}");
    let behind = risk("unaudited")
        .egress("eth1")
        .cause("u32 filter at pref 1 comes before pinif");
    send_and_stop_with(bench, auditor, is_behind.then_some(behind));
    assert_eq!(filters(bench, "eth1"), before);
}

#[test]
fn a_filter_that_is_asked_later_stays_untouched() {
    scenario("service clsact-beside", TC, |bench| {
        beside(
            bench,
            "protocol ip pref 10 u32 match u32 0 0 flowid 1:1",
            CLSACT,
            false,
        );
    });
}

#[test]
fn a_filter_in_the_first_place_stays_untouched_and_is_reported() {
    scenario("service clsact-behind", TC, |bench| {
        beside(bench, "protocol all pref 1 u32 match u32 0 0", CLSACT, true);
    });
}

#[test]
fn a_filter_that_ends_the_asking_takes_nothing_from_tcx() {
    let needs = &[TC, &[Need::Tcx]].concat();
    scenario("service tcx-beside-clsact", needs, |bench| {
        beside(
            bench,
            "protocol all pref 1 u32 match u32 0 0 flowid 1:1",
            &[],
            false,
        );
    });
}
