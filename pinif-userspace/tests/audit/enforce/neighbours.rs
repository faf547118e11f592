//! What must not leave is refused before the kernel looks for the neighbour: no solicitation and no request carries out the address that a
//! process chose.

use std::fmt::Display;

use super::{CONTAINED, ENFORCE, Outside, eperm, kept};
use crate::bench::{Bench, CONTROL_PLANE, Finding, Sent, leak, risk, scenario, together};
use crate::held::held;

together! {
    without_a_policy:
        no_neighbour_is_solicited_by_a_scope,
        no_neighbour_is_requested_by_packet_info,
        a_datagram_of_many_fragments_is_one_refusal;
    under_a_policy:
        no_neighbour_is_looked_for_from_an_address_of_a_contained_zone;
}

/// How many neighbours are asked for that nobody knows.
const NEIGHBOURS: u64 = 20;

/// One packet to each of them.
fn send_to_each(bench: &Bench, arguments: &str, address: impl Fn(u64) -> String) -> Vec<Sent> {
    let send = |number| bench.send(&format!("{arguments} --to {}", address(number)));
    (1..=NEIGHBOURS).map(send).collect()
}

/// `EPERM` is what each of them got.
#[track_caller]
fn all_are_refused(sent: &[Sent]) {
    for sent in sent {
        assert_eq!((sent.sent, &sent.refused), (0, &eperm(1)), "{sent:?}");
    }
}

/// That none of these is seen outside, the finding has each, and what is contained is counted once.
fn none_is_seen(
    name: &str,
    policy: Option<&str>,
    arguments: &str,
    address: impl Fn(u64) -> String,
    finding: Finding,
) {
    scenario(name, &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = match policy {
            Some(policy) => bench.audit_with(policy, ENFORCE),
            None => bench.audit(ENFORCE),
        };
        let sent = send_to_each(bench, arguments, address);
        all_are_refused(&sent);
        bench.send(&format!("{CONTAINED} --count 1000"));
        let report = auditor.stop();
        outside.got_nothing();
        assert_eq!(report.summary.dropped, NEIGHBOURS, "{report}");
        report
            .expect()
            .finding(finding.packets(NEIGHBOURS))
            .contained("fab0", "fab0", 1000)
            .total(1000)
            .nothing_else();
    });
}

fn link_local(number: impl Display) -> String {
    format!("[fe80::5ec:4e7:{number}]:9")
}

fn no_neighbour_is_solicited_by_a_scope() {
    none_is_seen(
        "enforce solicited",
        None,
        "udp --bind-device fab0 --scope eth1",
        link_local,
        kept(),
    );
}

fn no_neighbour_is_requested_by_packet_info() {
    none_is_seen(
        "enforce requested",
        None,
        "udp --bind-device fab0 --pktinfo eth1",
        |number| format!("10.0.77.{number}:9"),
        kept(),
    );
}

fn no_neighbour_is_looked_for_from_an_address_of_a_contained_zone() {
    none_is_seen(
        "enforce requested-address",
        Some(CONTROL_PLANE),
        "udp --bind 10.0.0.1",
        |number| format!("192.0.2.{}:9", 100 + number),
        leak("address-escape").egress("eth1").dropped(),
    );
}

/// It is refused before it is cut.
fn a_datagram_of_many_fragments_is_one_refusal() {
    scenario("enforce fragments", &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let sent = bench
            .send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --size 20000 --count 10");
        assert_eq!((sent.sent, &sent.refused), (0, &eperm(10)), "{sent:?}");
        let report = auditor.stop();
        outside.got_nothing();
        report
            .expect()
            .finding(kept().packets(10).by(&sent))
            .nothing_else();
    });
}

/// An audit that enforces nothing changes nothing: the solicitations are seen outside.
#[test]
fn neighbours_are_solicited_where_nothing_is_enforced() {
    scenario("enforce solicited-not", &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(&[]);
        let sent = send_to_each(bench, "udp --bind-device fab0 --scope eth1", link_local);
        assert!(sent.iter().all(|sent| sent.sent == 1), "{sent:?}");
        let report = auditor.stop();
        assert!(outside.got() >= NEIGHBOURS, "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
    });
}

/// What leaves by an interface that is not audited is for nobody to refuse.
#[test]
fn an_interface_that_is_not_audited_refuses_nothing() {
    scenario("enforce not-audited", &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(&["--enforce", "--interface", "fab0"]);
        let sent = bench.send(&format!("{} --count 100", super::LEAK));
        assert_eq!(sent.sent, 100, "{sent:?}");
        assert_eq!(outside.got(), 100);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn the_hook_that_is_detached_is_there_again() {
    scenario("enforce solicited-removed", &[], |bench| {
        let mut auditor = bench.audit(ENFORCE);
        let all = held(auditor.pid());
        let hooks = all.iter().filter(|held| held.is("link_type", "cgroup"));
        assert_eq!(hooks.map(|hook| hook.detach()).count(), 10, "all hooks");
        let what = "removed the hooks of the cgroup";
        auditor.wait_for_finding_that(what, |finding| finding.cause.contains(what));
        let outside = Outside::of(bench);
        let sent = send_to_each(bench, "udp --bind-device fab0 --scope eth1", link_local);
        all_are_refused(&sent);
        let report = auditor.stop();
        outside.got_nothing();
        report
            .expect()
            .finding(kept().packets(NEIGHBOURS))
            .finding(risk("unaudited").egress("*").cause(what))
            .nothing_else();
    });
}
