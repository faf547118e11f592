//! What holds of all kinds: which of several is reported, what they have in common, and how they are named.

use super::*;

#[test]
fn what_leaves_by_loopback_never_leaves_whatever_it_is() {
    let card = card_with_control_plane();
    for origin in [Origin::None, Origin::Process, Origin::Kernel] {
        for bound in [IfIndex::NONE, FAB0] {
            let sent = Sent::udp(FABRIC, PEER, IfIndex::LOOPBACK)
                .origin(origin)
                .pinned(bound)
                .bound_address(FRONT);
            assert_eq!(card.judge(&sent), CONTAINED);
        }
    }
}

#[test]
fn forwarded_and_kernel_packets_obey_rules_too() {
    let card = card_with_control_plane();
    for origin in [Origin::None, Origin::Kernel] {
        let sent = Sent::udp(OUTSIDE, PEER, ETH1).origin(origin);
        assert_eq!(
            card.judge(&sent),
            reported(Kind::PolicyEscape, Severity::Leak, &[]).by_rule(0)
        );
    }
}

#[test]
fn the_first_rule_that_matches_decides_alone() {
    let exception = Rule::any().to(PEER).only_via(&[FRONTPANEL]);
    let rest = Rule::any().only_via(&[BACKPLANE]).pinned();
    let sent = Sent::udp(VIP, PEER, ETH1);
    let exception_first = card().rule(exception.clone()).rule(rest.clone());
    assert_eq!(exception_first.judge(&sent), CONTAINED.by_rule(0));
    let exception_last = card().rule(rest).rule(exception);
    assert_eq!(
        exception_last.judge(&sent),
        reported(Kind::PolicyEscape, Severity::Leak, &[Kind::Unpinned]).by_rule(0)
    );
}

#[test]
fn binds_are_crossed_or_not_wherever_the_packet_leaves() {
    assert_eq!(
        card().judge(&control(ETH1).bound_address(FABRIC)),
        reported(Kind::DeviceEscape, Severity::Leak, &[])
    );
    assert_eq!(
        card().judge(&control(ETH1).bound_address(FRONT)),
        reported(Kind::DeviceEscape, Severity::Leak, &[Kind::CrossedBind])
    );
}

/// Its `sll_ifindex` is as good as a bound device, and excuses nothing else.
#[test]
fn a_packet_socket_need_not_be_pinned_and_is_judged_as_any_other() {
    let frame = |source, destination, egress| {
        let sent = Sent::udp(source, destination, egress).by_packet_socket();
        card_with_control_plane().judge(&sent)
    };
    assert_eq!(frame(VIP, PEER, FAB0), CONTAINED.by_rule(0));
    assert_eq!(
        frame(VIP, PEER, ETH1),
        reported(Kind::PolicyEscape, Severity::Leak, &[]).by_rule(0)
    );
    assert_eq!(
        frame(FABRIC, OUTSIDE, ETH1),
        reported(Kind::AddressEscape, Severity::Leak, &[]).owned_by(FAB0)
    );
    // Bound to a device none the less.
    let bound = Sent::udp(FABRIC, OUTSIDE, ETH1).pinned(FAB0);
    assert_eq!(
        card().judge(&bound.by_packet_socket()),
        reported(Kind::DeviceEscape, Severity::Leak, &[])
    );
}

#[test]
fn without_headers_only_devices_and_binds_are_judged() {
    // A rule for everything is for nothing that has no addresses.
    let rule = Rule::any().only_via(&[BACKPLANE]).pinned();
    let card = card().contained(&[BACKPLANE]).rule(rule);
    let arp = Sent::udp(FABRIC, PEER, ETH1).without_headers();
    for origin in [Origin::None, Origin::Process, Origin::Kernel] {
        assert_eq!(card.judge(&arp.origin(origin)), CONTAINED);
    }
    assert_eq!(
        card.judge(&arp.pinned(FAB0)),
        reported(Kind::DeviceEscape, Severity::Leak, &[])
    );
    assert_eq!(
        card.judge(&arp.pinned(ETH1).bound_address(FABRIC)),
        reported(Kind::CrossedBind, Severity::Note, &[])
    );
}

#[test]
fn the_most_severe_is_reported_and_the_others_are_named() {
    let card = card_with_control_plane();
    // Equal severity: the table's order.
    assert_eq!(
        card.judge(&control(ETH1)),
        reported(Kind::DeviceEscape, Severity::Leak, &[Kind::PolicyEscape]).by_rule(0)
    );
    assert_eq!(
        card.judge(&control(ETH1).origin(Origin::None)),
        reported(Kind::CopyEscape, Severity::Leak, &[Kind::PolicyEscape]).by_rule(0)
    );
    let others = [Kind::PolicyEscape, Kind::Unpinned];
    assert_eq!(
        card.judge(&Sent::udp(FABRIC, PEER, ETH1)),
        reported(Kind::AddressEscape, Severity::Leak, &others)
            .by_rule(0)
            .owned_by(FAB0)
    );
    // A leak goes before a risk that is above it in the table.
    let not_contained = card.clone().contained(&[]);
    let others = [Kind::AddressEscape, Kind::Unpinned];
    assert_eq!(
        not_contained.judge(&Sent::udp(FABRIC, PEER, ETH1)),
        reported(Kind::PolicyEscape, Severity::Leak, &others)
            .by_rule(0)
            .owned_by(FAB0)
    );
    // Two risks.
    let pinned_only = self::card().rule(Rule::any().pinned());
    assert_eq!(
        pinned_only.judge(&Sent::udp(FABRIC, PEER, ETH1)),
        reported(Kind::AddressEscape, Severity::Risk, &[Kind::Unpinned])
            .by_rule(0)
            .owned_by(FAB0)
    );
    // The most that one packet can be: three.
    let crossed = control(BOND).bound_address(FRONT);
    let others = [Kind::PolicyEscape, Kind::CrossedBind];
    assert_eq!(
        card.judge(&crossed),
        reported(Kind::DeviceEscape, Severity::Leak, &others).by_rule(0)
    );
}

/// The rule is the one that is for the packet, whether or not its demand is what was not met.
#[test]
fn a_finding_names_the_rule_that_matched() {
    let card = card().rule(Rule::any().only_via(&[FRONTPANEL]));
    assert_eq!(
        card.judge(&control(ETH1)),
        reported(Kind::DeviceEscape, Severity::Leak, &[]).by_rule(0)
    );
}

#[test]
fn numbers_and_names_lead_back_to_their_kinds() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_number(kind as u8), Some(kind));
        let same_name = Kind::ALL.iter().filter(|other| other.name() == kind.name());
        assert_eq!(same_name.count(), 1);
    }
    assert!(Kind::ALL.is_sorted(), "in the table's order");
    assert_eq!(Kind::from_number(0), None);
    assert_eq!(Kind::from_number(11), None);
    for severity in [Severity::Note, Severity::Risk, Severity::Leak] {
        assert_eq!(Severity::from_number(severity as u8), Some(severity));
    }
    assert_eq!(Severity::from_number(0), None);
    assert_eq!(Severity::from_number(4), None);
    assert!(Severity::Leak > Severity::Risk && Severity::Risk > Severity::Note);
}

#[test]
fn a_decision_names_its_finding() {
    assert_eq!(CONTAINED.finding(), None);
    let escape = reported(Kind::CopyEscape, Severity::Leak, &[Kind::PolicyEscape]);
    assert_eq!(escape.finding(), Some((Kind::CopyEscape, Severity::Leak)));
    let others: Vec<_> = escape.also.iter().collect();
    assert_eq!(others, [Kind::PolicyEscape]);
}
