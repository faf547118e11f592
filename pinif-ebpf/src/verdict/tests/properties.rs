//! `decide` against the oracle on random hosts, and what must hold of any two verdicts that differ in one thing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index, strategy::ValueTree as _, test_runner::TestRunner};

use super::{
    super::*,
    host::{Host, Sent},
    oracle::{self, Verdict},
    random::{host, interface, sent},
};
use crate::{enforce::Action, policy::tests::rules::Rule};

/// What `decide` says, in the oracle's words.
fn decided(host: &Host, sent: &Sent) -> Verdict {
    let decision = host.judge(sent);
    Verdict {
        is_allowed: decision.kind == ALLOWED,
        reported: decision.finding(),
        also: decision.also.iter().collect(),
        rule: decision.rule,
        source_owner: decision.source_owner,
    }
}

/// Whether the second verdict accuses of nothing that the first does not, and of nothing graver.
fn no_graver(before: &Verdict, after: &Verdict) -> bool {
    let severity = |verdict: &Verdict| verdict.reported.map(|(_, severity)| severity);
    after.kinds().is_subset(&before.kinds()) && severity(after) <= severity(before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn it_decides_as_the_table_says(host in host(), sent in sent()) {
        prop_assert_eq!(decided(&host, &sent), oracle::verdict(&host, &sent));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_said_is_well_formed(host in host(), sent in sent()) {
        let decision = host.judge(&sent);
        let is_found = decision.kind != 0 && decision.kind != ALLOWED;
        prop_assert_eq!(is_found, decision.severity != 0);
        prop_assert_eq!(is_found, decision.finding().is_some());
        prop_assert!(decision.kind != 0 || decision.also == KindSet::default());
        // Neither the bit of no kind, nor its own, nor one of no kind that there is.
        let all = decision.also.iter().fold(0, |bits, kind| bits | 1 << kind as u8);
        prop_assert_eq!(decision.also.0, all);
        prop_assert_eq!(decision.also.0 & 1 << decision.kind, 0);
    }

    #[test]
    fn loopback_contains(host in host(), sent in sent()) {
        let sent = Sent { egress: IfIndex::LOOPBACK, ..sent };
        prop_assert_eq!(host.judge(&sent), Decision::CONTAINED);
    }

    #[test]
    fn a_lower_device_more_accuses_nobody(host in host(), sent in sent(), upper in interface(), lower in interface()) {
        let before = decided(&host, &sent);
        let after = decided(&host.with_lower(upper, lower), &sent);
        prop_assert!(no_graver(&before, &after), "{before:?}, then {after:?}");
        prop_assert_eq!((before.rule, before.source_owner), (after.rule, after.source_owner));
    }

    #[test]
    fn an_address_on_another_interface_too_accuses_nobody(
        host in host(), sent in sent(), which: Index, interface in interface(),
    ) {
        let address = *which.get(&Vec::from_iter(host.holders.keys().copied()));
        let before = decided(&host, &sent);
        let after = decided(&host.address(interface, address), &sent);
        prop_assert!(no_graver(&before, &after), "{before:?}, then {after:?}");
    }

    #[test]
    fn an_egress_interface_in_another_zone_too_accuses_nobody(host in host(), sent in sent(), zone in 0usize..3) {
        // What it answers then came from outside that zone.
        let sent = sent.heard(IfIndex::NONE);
        let before = decided(&host, &sent);
        let after = decided(&host.zone(zone, &[sent.egress]), &sent);
        prop_assert!(no_graver(&before, &after), "{before:?}, then {after:?}");
    }

    #[test]
    fn what_is_not_contained_is_a_leak_no_sooner(host in host(), sent in sent()) {
        let before = decided(&host, &sent);
        let after = decided(&host.contained(&[]), &sent);
        prop_assert!(no_graver(&before, &after), "{before:?}, then {after:?}");
        prop_assert_eq!(before.kinds(), after.kinds());
    }

    #[test]
    fn without_rules_no_rule_is_broken_and_all_else_stays(host in host(), sent in sent()) {
        let before = decided(&host, &sent);
        prop_assume!(!before.is_allowed);
        let mut lawless = host;
        lawless.policy.rules.clear();
        let after = decided(&lawless, &sent);
        let mut kinds = before.kinds();
        kinds.remove(&Kind::PolicyEscape);
        kinds.remove(&Kind::Unpinned);
        prop_assert_eq!(after.kinds(), kinds);
        prop_assert_eq!(after.rule, NO_RULE);
    }

    #[test]
    fn a_socket_pinned_to_where_it_leaves_escapes_no_device(host in host(), sent in sent()) {
        let kinds = decided(&host, &sent.pinned(sent.egress)).kinds();
        let possible = BTreeSet::from([Kind::PolicyEscape, Kind::CrossedBind]);
        prop_assert!(kinds.is_subset(&possible), "{kinds:?}");
    }

    #[test]
    fn the_kernel_is_judged_as_a_process_but_for_the_demanded_pin(host in host(), sent in sent()) {
        let mut kinds = decided(&host, &sent.origin(Origin::Process)).kinds();
        kinds.remove(&Kind::Unpinned);
        prop_assert_eq!(decided(&host, &sent.origin(Origin::Kernel)).kinds(), kinds);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_is_dropped_is_what_the_table_says(host in host(), sent in sent()) {
        prop_assert_eq!(host.is_dropped(&host.judge(&sent)), oracle::is_dropped(&host, &sent));
    }

    #[test]
    fn rules_that_say_nothing_drop_the_leaks(host in host(), sent in sent()) {
        let decision = host.judge(&sent);
        let is_leak = decision.severity == Severity::Leak as u8;
        prop_assert_eq!(decision.is_dropped(Action::Unsaid), is_leak);
        prop_assert!(!decision.is_dropped(Action::Alert) || is_leak);
        prop_assert!(decision.is_dropped(Action::Drop) || !is_leak);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_exception_before_all_silences_every_kind_and_changes_nothing_else(host in host(), sent in sent()) {
        let before = decided(&host, &sent);
        let mut excepting = host;
        excepting.policy.rules.insert(0, Rule::any().allowed());
        let decision = excepting.judge(&sent);
        let after = decided(&excepting, &sent);
        // What has no headers is of no rule; what ends here is judged by none.
        if sent.packet.is_some() && after.rule != NO_RULE {
            prop_assert!(after.is_allowed && after.kinds().is_empty());
            prop_assert!(!excepting.is_dropped(&decision));
            prop_assert_eq!(after.source_owner, before.source_owner);
        } else {
            prop_assert_eq!(&after, &before);
        }
    }
}

/// The properties are worth something only if the hosts and packets above are not all contained.
#[test]
fn the_random_hosts_reach_every_kind_in_every_place() {
    let mut runner = TestRunner::deterministic();
    let (mut reported, mut also) = (BTreeMap::new(), BTreeMap::new());
    let cases = (host(), sent());
    let mut allowed = 0;
    for _ in 0..4096 {
        let (host, sent) = cases.new_tree(&mut runner).expect("a case").current();
        let verdict = oracle::verdict(&host, &sent);
        *reported.entry(verdict.reported).or_insert(0) += 1;
        allowed += u32::from(verdict.is_allowed);
        for kind in verdict.also {
            *also.entry(kind).or_insert(0) += 1;
        }
    }
    let verdicts = [
        None,
        Some((Kind::DeviceEscape, Severity::Leak)),
        Some((Kind::AddressEscape, Severity::Risk)),
        Some((Kind::AddressEscape, Severity::Leak)),
        Some((Kind::CopyEscape, Severity::Leak)),
        Some((Kind::PolicyEscape, Severity::Leak)),
        Some((Kind::Unpinned, Severity::Risk)),
        Some((Kind::CrossedBind, Severity::Note)),
    ];
    for verdict in verdicts {
        let often = reported.get(&verdict).copied().unwrap_or(0);
        assert!(often >= 20, "{verdict:?} in {often} cases of {reported:?}");
    }
    assert!(allowed >= 20, "{allowed} are allowed");
    // The two that go before all others of their severity are never beside another.
    for kind in [
        Kind::AddressEscape,
        Kind::PolicyEscape,
        Kind::Unpinned,
        Kind::CrossedBind,
    ] {
        let often = also.get(&kind).copied().unwrap_or(0);
        assert!(often >= 20, "also {kind:?} in {often} cases of {also:?}");
    }
}
