//! The recheck: a verdict that was decided on what was known late is in the end the one that all that is known now gives.

use proptest::prelude::*;

use super::{
    super::*,
    host::{Host, Sent},
    oracle,
    random::{host, interface, sent},
};
use crate::{heard::Replies, policy::tests::random};

/// What the kernel would find on `truth`, of a decision that was made on what was known before.
fn live(truth: &Host, sent: &Sent, known: &Decision) -> Recheck {
    let within = |upper: IfIndex, lower: IfIndex| upper == lower || truth.is_lower_of(lower, upper);
    let active = truth.policy.active();
    let zones = |interface| World::zones(truth, active.slot, interface);
    let source = sent.packet.map(|packet| truth.sole_owner(&packet.source));
    let (owner, bound) = (known.source_owner, sent.bound);
    let bound_owner = sent.bound_address.map(|address| truth.sole_owner(&address));
    Recheck {
        is_lower_of_bound: bound.is_some() && within(bound, sent.egress),
        is_lower_of_source_owner: owner.is_some() && within(owner, sent.egress),
        has_source: owner.is_some() && source == Some(sent.egress),
        has_bound_address: bound_owner
            .is_some_and(|owner| owner.is_some() && (within(owner, bound) || within(bound, owner))),
        zones: zones(sent.egress),
        only_via: truth
            .policy
            .rules
            .get(usize::from(known.rule))
            .and_then(|rule| rule.demand)
            .map_or(ZoneSet::EMPTY, |demand| demand.only_via),
        owner_contained: zones(owner).intersection(active.contained),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_was_known_late_changes_nothing_in_the_end(
        host in host(), sent in sent(), above in interface(), zones in random::zones(),
    ) {
        // Where it was heard is asked after the recheck.
        let heard = sent.heard;
        let sent = sent.heard(IfIndex::NONE);
        let known = host.judge(&sent);
        let mut truth = host.clone();
        if above != sent.egress {
            truth = truth.with_lower(above, sent.egress);
        }
        truth.zones.entry(sent.egress).or_default().0 |= zones.0;
        let live = live(&truth, &sent, &known);
        let again = known.reconsidered(&live);
        prop_assert_eq!(again, truth.judge(&sent), "{:?}", live);
        prop_assert_eq!(host.is_dropped(&again), oracle::is_dropped(&truth, &sent), "{:?}", live);
        if heard.is_some() && !sent.bound.is_some() {
            let active = truth.policy.active();
            let zones = |interface| World::zones(&truth, active.slot, interface);
            let answering = again.answering(heard, sent.egress, Replies::All, &active, &truth);
            prop_assert_eq!(answering, truth.judge(&sent.heard(heard)));
            let leaks = again.answering(heard, sent.egress, Replies::Leaks, &active, &truth);
            let apart = zones(heard).0 ^ zones(sent.egress).0;
            let is_leak = !ZoneSet(apart).intersection(active.contained).is_empty();
            prop_assert_eq!(leaks, if is_leak { answering } else { again });
        }
    }

    #[test]
    fn what_was_known_well_stays(host in host(), sent in sent()) {
        let sent = sent.heard(IfIndex::NONE);
        let known = host.judge(&sent);
        prop_assert_eq!(known.reconsidered(&live(&host, &sent, &known)), known);
    }

    #[test]
    fn an_address_that_moved_to_the_egress_interface_accuses_nobody(host in host(), sent in sent()) {
        let known = host.judge(&sent);
        let live = Recheck { has_source: true, ..live(&host, &sent, &known) };
        prop_assert!(!known.reconsidered(&live).kinds().contains(Kind::AddressEscape));
    }
}
