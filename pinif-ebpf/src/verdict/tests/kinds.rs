//! Each kind by itself: when it holds, and where it just does not.

use super::*;

#[test]
fn a_pinned_socket_that_leaves_by_its_device_is_contained() {
    assert_eq!(card().judge(&control(FAB0)), CONTAINED);
}

#[test]
fn a_pinned_socket_that_leaves_by_another_device_escapes() {
    let escape = reported(Kind::DeviceEscape, Severity::Leak, &[]);
    assert_eq!(card().judge(&control(ETH1)), escape);
    // Its own address does not excuse it, nor does a zone that both are in.
    assert_eq!(card().judge(&control(FAB1)), escape);
}

#[test]
fn the_kernel_s_own_pinned_socket_escapes_as_well() {
    let reply = control(ETH1).origin(Origin::Kernel);
    assert_eq!(
        card().judge(&reply),
        reported(Kind::DeviceEscape, Severity::Leak, &[])
    );
}

#[test]
fn lower_devices_are_of_any_number_of_layers_and_downwards_only() {
    let card = card();
    let by = |bound, egress| card.judge(&Sent::udp(TAGGED, PEER, egress).pinned(bound));
    for (bound, egress) in [(VLAN, VLAN), (VLAN, BOND), (VLAN, PORT), (BOND, PORT)] {
        assert_eq!(by(bound, egress), CONTAINED, "{bound:?} by {egress:?}");
    }
    let escape = reported(Kind::DeviceEscape, Severity::Leak, &[]);
    for (bound, egress) in [(PORT, BOND), (PORT, VLAN), (BOND, VLAN), (VLAN, FAB0)] {
        assert_eq!(by(bound, egress), escape, "{bound:?} by {egress:?}");
    }
}

#[test]
fn a_socket_bound_to_loopback_escapes_by_any_other_device() {
    let sent = Sent::udp(ROUTER_ID, PEER, ETH1).pinned(IfIndex::LOOPBACK);
    assert_eq!(
        card().judge(&sent),
        reported(Kind::DeviceEscape, Severity::Leak, &[])
    );
}

#[test]
fn an_address_of_one_interface_alone_must_leave_by_it() {
    let escape = reported(Kind::AddressEscape, Severity::Risk, &[]).owned_by(FAB0);
    assert_eq!(card().judge(&Sent::udp(FABRIC, OUTSIDE, ETH1)), escape);
    // Its process, the kernel or nobody sent it.
    for origin in [Origin::None, Origin::Kernel] {
        let sent = Sent::udp(FABRIC, OUTSIDE, ETH1).origin(origin);
        assert_eq!(card().judge(&sent), escape);
    }
    let home = CONTAINED.owned_by(FAB0);
    assert_eq!(card().judge(&Sent::udp(FABRIC, OUTSIDE, FAB0)), home);
}

#[test]
fn an_address_may_leave_by_a_lower_device_of_its_interface() {
    for egress in [VLAN, BOND, PORT] {
        let sent = Sent::udp(TAGGED, OUTSIDE, egress);
        assert_eq!(card().judge(&sent), CONTAINED.owned_by(VLAN));
    }
    // And not by what it carries.
    let card = card().address(PORT, PEER);
    assert_eq!(
        card.judge(&Sent::udp(PEER, OUTSIDE, BOND)),
        reported(Kind::AddressEscape, Severity::Risk, &[]).owned_by(PORT)
    );
}

#[test]
fn an_address_of_no_single_interface_may_leave_by_any() {
    for source in [VIP, ROUTER_ID, OUTSIDE, Address::UNSPECIFIED] {
        for egress in [FAB0, FAB1, ETH1] {
            let sent = Sent::udp(source, PEER, egress);
            assert_eq!(card().judge(&sent), CONTAINED, "{source:?} by {egress:?}");
        }
    }
}

#[test]
fn an_address_that_leaves_a_contained_zone_is_a_leak() {
    let card = card().contained(&[BACKPLANE]);
    assert_eq!(
        card.judge(&Sent::udp(FABRIC, OUTSIDE, ETH1)),
        reported(Kind::AddressEscape, Severity::Leak, &[]).owned_by(FAB0)
    );
    // The zone of the address counts, not the one that it went to.
    assert_eq!(
        card.judge(&Sent::udp(FRONT, PEER, FAB0)),
        reported(Kind::AddressEscape, Severity::Risk, &[]).owned_by(ETH1)
    );
    // Within the zone it did not leave, but only because of the current route.
    assert_eq!(
        card.judge(&Sent::udp(FABRIC, PEER, FAB1)),
        reported(Kind::AddressEscape, Severity::Risk, &[]).owned_by(FAB0)
    );
}

#[test]
fn one_contained_zone_of_several_is_enough() {
    let card = card().zone(9, &[FAB0]).zone(63, &[FAB0]).contained(&[63]);
    assert_eq!(
        card.judge(&Sent::udp(FABRIC, OUTSIDE, ETH1)),
        reported(Kind::AddressEscape, Severity::Leak, &[]).owned_by(FAB0)
    );
}

#[test]
fn the_source_address_of_a_pinned_socket_is_not_asked_about() {
    // eth1 is what it wants, whatever it writes into the packet.
    let sent = Sent::udp(FABRIC, OUTSIDE, ETH1).pinned(ETH1);
    assert_eq!(card().contained(&[BACKPLANE]).judge(&sent), CONTAINED);
}

#[test]
fn a_copy_of_a_pinned_flow_escapes_by_another_interface_only() {
    let copy = |egress| card().judge(&control(egress).origin(Origin::None));
    let escape = reported(Kind::CopyEscape, Severity::Leak, &[]);
    assert_eq!(copy(ETH1), escape);
    assert_eq!(copy(FAB1), escape);
    assert_eq!(copy(FAB0), CONTAINED);
    assert_eq!(copy(IfIndex::LOOPBACK), CONTAINED);
    let carried = Sent::udp(TAGGED, PEER, PORT).pinned(VLAN);
    assert_eq!(card().judge(&carried.origin(Origin::None)), CONTAINED);
}

#[test]
fn traffic_that_a_rule_is_for_leaves_by_its_zones() {
    let card = card_with_control_plane();
    assert_eq!(card.judge(&control(FAB0)), CONTAINED.by_rule(0));
    let both = Sent::udp(FABRIC, PEER, FAB1).pinned(FAB1);
    assert_eq!(card.judge(&both), CONTAINED.by_rule(0));
    let escape = reported(Kind::PolicyEscape, Severity::Leak, &[]).by_rule(0);
    let pinned_to_the_front = Sent::udp(FRONT, PEER, ETH1).pinned(ETH1);
    assert_eq!(card.judge(&pinned_to_the_front), escape);
    // In no zone at all.
    let by_bond = Sent::udp(FRONT, PEER, BOND).pinned(BOND);
    assert_eq!(card.judge(&by_bond), escape);
    // Another destination is not the rule's.
    let other = Sent::udp(FRONT, OUTSIDE, ETH1).pinned(ETH1);
    assert_eq!(card.judge(&other), CONTAINED);
}

#[test]
fn a_rule_may_name_several_zones() {
    let rule = Rule::any().only_via(&[BACKPLANE, FRONTPANEL]);
    let card = card().rule(rule);
    for egress in [FAB0, ETH1] {
        let sent = Sent::udp(VIP, PEER, egress);
        assert_eq!(card.judge(&sent), CONTAINED.by_rule(0));
    }
    assert_eq!(
        card.judge(&Sent::udp(VIP, PEER, BOND)),
        reported(Kind::PolicyEscape, Severity::Leak, &[]).by_rule(0)
    );
}

#[test]
fn a_rule_without_zones_allows_all_interfaces() {
    let card = card().rule(Rule::any().pinned());
    for egress in [FAB0, ETH1, BOND] {
        let sent = Sent::udp(VIP, PEER, egress).pinned(egress);
        assert_eq!(card.judge(&sent), CONTAINED.by_rule(0));
    }
}

#[test]
fn a_demanded_pin_is_demanded_of_processes_alone() {
    let card = card_with_control_plane();
    let unpinned = Sent::udp(FABRIC, PEER, FAB0);
    assert_eq!(
        card.judge(&unpinned),
        reported(Kind::Unpinned, Severity::Risk, &[])
            .by_rule(0)
            .owned_by(FAB0)
    );
    for origin in [Origin::None, Origin::Kernel] {
        let expected = CONTAINED.by_rule(0).owned_by(FAB0);
        assert_eq!(card.judge(&unpinned.origin(origin)), expected);
    }
    let no_demand = card.clone().rule(Rule::any().only_via(&[BACKPLANE]));
    let other = Sent::udp(FABRIC, OUTSIDE, FAB0);
    assert_eq!(no_demand.judge(&other), CONTAINED.by_rule(1).owned_by(FAB0));
}

#[test]
fn a_bound_address_and_a_bound_device_that_have_nothing_in_common_are_crossed() {
    let crossed = reported(Kind::CrossedBind, Severity::Note, &[]);
    let bound = |device, address| {
        let sent = Sent::udp(address, OUTSIDE, device);
        card().judge(&sent.pinned(device).bound_address(address))
    };
    assert_eq!(bound(ETH1, FABRIC), crossed);
    assert_eq!(bound(FAB1, FABRIC), crossed);
    assert_eq!(bound(FAB0, FABRIC), CONTAINED);
    // The address's interface carries the device, or the device the address's interface.
    assert_eq!(bound(BOND, TAGGED), CONTAINED);
    assert_eq!(bound(PORT, TAGGED), CONTAINED);
    let on_port = card().address(PORT, PEER);
    let vlan = Sent::udp(PEER, OUTSIDE, VLAN);
    assert_eq!(
        on_port.judge(&vlan.pinned(VLAN).bound_address(PEER)),
        CONTAINED
    );
    // Nobody's address alone crosses nothing.
    for address in [VIP, ROUTER_ID, OUTSIDE] {
        assert_eq!(bound(FAB1, address), CONTAINED);
    }
}

#[test]
fn an_unpinned_socket_is_not_crossed() {
    let sent = Sent::udp(VIP, OUTSIDE, ETH1).bound_address(FABRIC);
    assert_eq!(card().judge(&sent), CONTAINED);
}

/// By a rule, wherever the outer packet may leave; what its socket is bound to comes first.
#[test]
fn what_is_inside_is_kept_in_by_rules_alone() {
    let card = card_with_control_plane();
    let judge = |sent: &Sent, inner: (Address, Address)| {
        let inside = Sent {
            packet: Sent::udp(inner.0, inner.1, sent.egress).packet,
            ..*sent
        };
        card.judge(sent).carrying(card.judge(&inside))
    };
    let kept = reported(Kind::PolicyEscape, Severity::Leak, &[])
        .by_rule(0)
        .owned_by(FAB0);
    let inner = (FABRIC, PEER);
    for source in [FRONT, FABRIC] {
        // The latter is an address of elsewhere.
        let outer = Sent::udp(source, OUTSIDE, ETH1);
        assert_eq!(judge(&outer, inner), kept, "{source:?}");
        assert_eq!(judge(&outer, (FABRIC, OUTSIDE)), card.judge(&outer));
    }
    let home = Sent::udp(FABRIC, OUTSIDE, FAB0);
    assert_eq!(judge(&home, inner), card.judge(&home));
    let pinned = Sent::udp(FRONT, OUTSIDE, ETH1).pinned(FAB0);
    assert_eq!(judge(&pinned, inner), card.judge(&pinned));
    let within = Sent::udp(FRONT, OUTSIDE, IfIndex::LOOPBACK);
    assert_eq!(judge(&within, inner), CONTAINED);
}
