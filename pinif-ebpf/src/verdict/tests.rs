use super::*;
use crate::policy::tests::rules::Rule;

mod cached;
mod host;
mod kinds;
mod oracle;
mod properties;
mod random;
mod recheck;
mod together;
mod total;

use host::{Host, Sent};

const FAB0: IfIndex = IfIndex(2);
const FAB1: IfIndex = IfIndex(3);
const ETH1: IfIndex = IfIndex(4);
const BOND: IfIndex = IfIndex(5);
const PORT: IfIndex = IfIndex(6);
const VLAN: IfIndex = IfIndex(7);

/// On fab0 alone.
const FABRIC: Address = Address::v4([10, 0, 0, 1]);
/// On eth1 alone.
const FRONT: Address = Address::v4([192, 0, 2, 1]);
/// On the VLAN alone.
const TAGGED: Address = Address::v4([10, 7, 0, 1]);
/// On fab0 and on eth1.
const VIP: Address = Address::v4([10, 0, 0, 100]);
/// On the loopback device.
const ROUTER_ID: Address = Address::v4([10, 255, 0, 1]);
/// Of another card on the backplane.
const PEER: Address = Address::v4([10, 0, 0, 2]);
/// Of the world.
const OUTSIDE: Address = Address::v4([203, 0, 113, 9]);

const BACKPLANE: usize = 0;
const FRONTPANEL: usize = 1;

/// A card: fab0 and fab1 to the backplane, eth1 to the outside, and a VLAN on a bond with one port. No rules.
fn card() -> Host {
    Host::default()
        .address(IfIndex::LOOPBACK, ROUTER_ID)
        .address(FAB0, FABRIC)
        .address(FAB0, VIP)
        .address(ETH1, FRONT)
        .address(ETH1, VIP)
        .address(VLAN, TAGGED)
        .with_lower(BOND, PORT)
        .with_lower(VLAN, BOND)
        .with_lower(VLAN, PORT)
        .zone(BACKPLANE, &[FAB0, FAB1])
        .zone(FRONTPANEL, &[ETH1])
}

/// The card under the rule that what goes to the peer leaves by the backplane, from pinned sockets.
fn card_with_control_plane() -> Host {
    let rule = Rule::any().to(PEER).only_via(&[BACKPLANE]).pinned();
    card().contained(&[BACKPLANE]).rule(rule)
}

const CONTAINED: Decision = Decision::CONTAINED;

fn reported(kind: Kind, severity: Severity, also: &[Kind]) -> Decision {
    let mut others = KindSet::default();
    for &kind in also {
        others.insert(kind);
    }
    Decision {
        kind: kind as u8,
        severity: severity as u8,
        also: others,
        ..CONTAINED
    }
}

impl Decision {
    fn by_rule(self, rule: u16) -> Self {
        Self { rule, ..self }
    }

    fn owned_by(self, source_owner: IfIndex) -> Self {
        Self {
            source_owner,
            ..self
        }
    }
}

/// A datagram to the peer, which is pinned to fab0 and has its address.
fn control(egress: IfIndex) -> Sent {
    Sent::udp(FABRIC, PEER, egress).pinned(FAB0)
}
