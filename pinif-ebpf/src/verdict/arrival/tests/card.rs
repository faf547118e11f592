//! A host in memory, and the policy, as what arrives is judged by them.

use std::collections::BTreeMap;

use super::*;
use crate::policy::tests::rules::{InMemory, Ruled};

/// A card: fab0 and fab1 on the backplane, eth1 to the outside, and storage of its own, backplane and storage contained.
pub(super) struct Card {
    pub(super) owners: BTreeMap<Address, IfIndex>,
    pub(super) ingress: BTreeMap<IfIndex, IngressPolicy>,
    pub(super) policy: Rules,
    pub(super) receiver: Sender,
}

impl Card {
    pub(super) fn new() -> Self {
        let owners = [
            (FABRIC, FAB0),
            (LINK_LOCAL, FAB0),
            (FRONT, ETH1),
            (VIP, IfIndex::NONE),
        ];
        let zones = [
            (FAB0, BACKPLANE),
            (FAB1, BACKPLANE),
            (ETH1, FRONTPANEL),
            (STORE, STORAGE),
        ];
        let ingress = |zone: usize| {
            let zones = if zone == FRONTPANEL {
                ZoneSet::EMPTY
            } else {
                set(&[zone])
            };
            IngressPolicy {
                protected: zones,
                allowed: zones,
                ..IngressPolicy::default()
            }
        };
        Self {
            owners: owners.into(),
            ingress: zones.map(|(link, zone)| (link, ingress(zone))).into(),
            policy: Rules {
                contained: set(&[BACKPLANE, STORAGE]),
                ..Rules::default()
            },
            receiver: Sender::default(),
        }
    }

    /// Under a rule that keeps its traffic to the backplane.
    pub(super) fn with(mut self, rule: Rule) -> Self {
        let number = self.policy.rules.len();
        for (link, ingress) in &mut self.ingress {
            if ![FAB0, FAB1].contains(link) {
                ingress.unmet_rules.insert(number);
            }
        }
        self.policy.rules.push(rule.only_via(&[BACKPLANE]));
        self
    }

    /// Under a rule that allows what it names.
    pub(super) fn allowing(mut self, rule: Rule) -> Self {
        self.policy.rules.push(rule.allowed());
        self
    }

    pub(super) fn control_plane() -> Self {
        Self::new().with(Rule::any().to(PEER))
    }

    pub(super) fn in_vrf(mut self, link: IfIndex) -> Self {
        self.ingress.entry(link).or_default().l3mdev = IfIndex(VRF);
        self
    }

    pub(super) fn judge(&self, packet: &Packet, at: IfIndex, is_taken: bool) -> Decision {
        let ingress = &self.ingress[&at];
        let active = self.policy.active();
        if ingress.is_open(active.contained) {
            return Decision::CONTAINED;
        }
        let suspicion = suspect(&packet.source, &packet.destination, ingress, &active, self);
        let rules = rules_for_reply(&reply_to(packet), suspicion, ingress, &active, self);
        if !suspicion.owner.is_some() && rules.is_empty() {
            return Decision::CONTAINED;
        }
        let arrival = Arrival {
            suspicion,
            rules,
            is_taken,
        };
        decide_arrival(&arrival, ingress, &active, self)
    }
}

impl Premises for Card {
    fn owner(&self, address: &Address) -> Option<IfIndex> {
        self.owners.get(address).copied()
    }

    fn ingress_policy(&self, slot: Slot, interface: IfIndex) -> Option<&IngressPolicy> {
        assert_eq!(slot, SLOT, "asked for the policy that is not in force");
        self.ingress.get(&interface)
    }
}

impl Ruled for Card {
    fn tables(&self) -> InMemory<'_> {
        self.policy.tables(self.receiver)
    }
}
