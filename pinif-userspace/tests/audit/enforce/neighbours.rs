//! What must not leave is refused before the kernel looks for the neighbour: no solicitation and no request carries out the address that a
//! process chose.

use super::{CONTAINED, ENFORCE, LEAK, Outside, eperm, kept};
use crate::bench::{Bench, CONTROL_PLANE, Finding, Need, Sent, leak, risk, scenario, together};
use crate::held::held;

together! {
    without_a_policy:
        no_neighbour_is_solicited_by_a_scope,
        no_neighbour_is_requested_by_packet_info,
        a_datagram_of_many_fragments_is_one_refusal;
    under_a_policy:
        no_neighbour_is_looked_for_from_an_address_of_a_contained_zone;
}

/// How many packets are sent to a neighbour that nobody knows.
const PACKETS: u64 = 20;
/// To one by its scope, as `sin6_scope_id` has it.
const BY_SCOPE: &str = "udp --bind-device fab0 --scope eth1 --to [fe80::5ec:4e7]:9";
/// What the auditor says where the hooks were removed.
const REMOVED: &str = "removed the hooks of the cgroup";

/// What drops the reports of groups.
const NFT: &[Need] = &[Need::Program("nft")];

/// Lets the front port resolve addresses, which no other scenario does. With that, the kernel reports its groups again (`addrconf_notify`),
/// at a time of its own: a card forwards, and is in the routers' groups.
fn resolves(bench: &Bench) {
    bench.run("nft", "add table ip6 lab");
    bench.run(
        "nft",
        "add chain ip6 lab out { type filter hook output priority 0 ; }",
    );
    bench.run(
        "nft",
        "add rule ip6 lab out icmpv6 type mld2-listener-report drop",
    );
    let card = bench.card();
    card.set_arp("eth1", true).expect("the card has it");
}

/// Sends them; each is refused.
#[track_caller]
fn all_are_refused(bench: &Bench, arguments: &str) -> Sent {
    let sent = bench.send(&format!("{arguments} --count {PACKETS}"));
    assert_eq!((sent.sent, &sent.refused), (0, &eperm(PACKETS)), "{sent:?}");
    sent
}

/// That the finding has each of them, and what is contained is counted once. The report is held against the drivers' own counters, so that
/// no solicitation and no request left.
fn none_is_solicited(name: &str, policy: Option<&str>, arguments: &str, finding: Finding) {
    scenario(name, NFT, |bench| {
        resolves(bench);
        let auditor = match policy {
            Some(policy) => bench.audit_with(policy, ENFORCE),
            None => bench.audit(ENFORCE),
        };
        let sent = all_are_refused(bench, arguments);
        bench.send(&format!("{CONTAINED} --count 1000"));
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth1").packets, 0, "{report}");
        assert_eq!(report.summary.dropped, PACKETS, "{report}");
        report
            .expect()
            .finding(finding.packets(PACKETS).by(&sent))
            .contained("fab0", "fab0", 1000)
            .total(1000)
            .nothing_else();
    });
}

fn no_neighbour_is_solicited_by_a_scope() {
    none_is_solicited("enforce solicited", None, BY_SCOPE, kept());
}

fn no_neighbour_is_requested_by_packet_info() {
    none_is_solicited(
        "enforce requested",
        None,
        "udp --bind-device fab0 --pktinfo eth1 --to 10.0.77.77:9",
        kept(),
    );
}

fn no_neighbour_is_looked_for_from_an_address_of_a_contained_zone() {
    none_is_solicited(
        "enforce requested-address",
        Some(CONTROL_PLANE),
        "udp --bind 10.0.0.1 --to 192.0.2.77:9",
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

/// An audit that enforces nothing changes nothing: the solicitation leaves, and the packets wait.
#[test]
fn a_neighbour_is_solicited_where_nothing_is_enforced() {
    scenario("enforce solicited-not", NFT, |bench| {
        resolves(bench);
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{BY_SCOPE} --count {PACKETS}"));
        assert_eq!(sent.sent, PACKETS, "{sent:?}");
        let report = auditor.stop();
        assert!(report.sent_by("eth1").packets > 0, "{report}");
        assert_eq!(report.findings.len(), 0, "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
    });
}

/// What leaves by an interface that is not audited is for nobody to refuse.
#[test]
fn an_interface_that_is_not_audited_refuses_nothing() {
    scenario("enforce not-audited", &[], |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(&["--enforce", "--interface", "fab0"]);
        let sent = bench.send(&format!("{LEAK} --count 100"));
        assert_eq!(sent.sent, 100, "{sent:?}");
        let report = auditor.stop();
        assert_eq!(outside.got(), 100, "{report}");
        assert_eq!(report.findings.len(), 0, "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
    });
}

#[test]
fn the_hook_that_is_detached_is_there_again() {
    scenario("enforce solicited-removed", NFT, |bench| {
        resolves(bench);
        let mut auditor = bench.audit(ENFORCE);
        let all = held(auditor.pid());
        let hooks = all.iter().filter(|held| held.is("link_type", "cgroup"));
        assert_eq!(hooks.map(|hook| hook.detach()).count(), 11, "all hooks");
        auditor.wait_for_finding_that(REMOVED, |finding| finding.cause.contains(REMOVED));
        let sent = all_are_refused(bench, BY_SCOPE);
        auditor
            .stop()
            .expect()
            .finding(kept().packets(PACKETS).by(&sent))
            .finding(risk("unaudited").egress("*").cause(REMOVED))
            .nothing_else();
    });
}
