//! The table of kinds, once more, in the simplest form: which kinds hold, how severe each is, and which is reported.

use std::{cmp::Reverse, collections::BTreeSet};

use super::host::{Host, Sent};
use crate::{
    enforce::Action,
    key::{Address, IfIndex},
    policy::{Demand, NO_RULE, ZoneSet},
    sighting::Origin,
    verdict::{Kind, Severity},
};

/// The table, top to bottom.
const TABLE: [Kind; 7] = [
    Kind::DeviceEscape,
    Kind::AddressEscape,
    Kind::CopyEscape,
    Kind::PolicyEscape,
    Kind::ReplyEscape,
    Kind::Unpinned,
    Kind::CrossedBind,
];

/// What is to be reported of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether a rule allows it.
    pub(super) is_allowed: bool,
    pub(super) reported: Option<(Kind, Severity)>,
    pub(super) also: BTreeSet<Kind>,
    pub(super) rule: u16,
    pub(super) source_owner: IfIndex,
}

impl Verdict {
    /// All kinds that hold.
    pub(super) fn kinds(&self) -> BTreeSet<Kind> {
        let reported = self.reported.map(|(kind, _)| kind);
        self.also.iter().copied().chain(reported).collect()
    }
}

pub(super) fn verdict(host: &Host, sent: &Sent) -> Verdict {
    if ends_here(host, sent.egress) {
        return Verdict {
            is_allowed: false,
            reported: None,
            also: BTreeSet::new(),
            rule: NO_RULE,
            source_owner: IfIndex::NONE,
        };
    }
    let case = Case { host, sent };
    let is_allowed = case.is_allowed();
    let held: BTreeSet<_> = TABLE
        .iter()
        .enumerate()
        .filter(|_| !is_allowed)
        .filter_map(|(row, &kind)| Some((case.severity(kind)?, Reverse(row), kind)))
        .collect();
    let reported = held.last().map(|&(severity, _, kind)| (kind, severity));
    Verdict {
        is_allowed,
        reported,
        also: held
            .iter()
            .map(|&(_, _, kind)| kind)
            .filter(|&kind| Some(kind) != reported.map(|(kind, _)| kind))
            .collect(),
        rule: case.rule().map_or(NO_RULE, |number| number as u16),
        source_owner: case.escaped_source().unwrap_or(IfIndex::NONE),
    }
}

/// Whether a packet is to be dropped where the policy is enforced, in the simplest form: each kind by itself.
pub(super) fn is_dropped(host: &Host, sent: &Sent) -> bool {
    if ends_here(host, sent.egress) {
        return false;
    }
    let case = Case { host, sent };
    if case.is_allowed() {
        return false;
    }
    let action = Action::from_number(case.demand().action);
    TABLE.iter().any(|&kind| match case.severity(kind) {
        None => false,
        Some(severity) => match (kind, action) {
            (Kind::PolicyEscape | Kind::Unpinned, Action::Alert) => false,
            (Kind::PolicyEscape | Kind::Unpinned, Action::Drop) => true,
            // Beside what breaks a rule, the rule says.
            (Kind::ReplyEscape, _) if case.severity(Kind::PolicyEscape).is_some() => false,
            _ => severity == Severity::Leak,
        },
    })
}

fn ends_here(host: &Host, egress: IfIndex) -> bool {
    egress == IfIndex::LOOPBACK || host.ends.contains(&egress)
}

struct Case<'a> {
    host: &'a Host,
    sent: &'a Sent,
}

impl Case<'_> {
    /// How severe the kind is, if it holds.
    fn severity(&self, kind: Kind) -> Option<Severity> {
        let Self { host, sent } = self;
        let pinned = sent.bound != IfIndex::NONE;
        let elsewhere = pinned && !self.is_way(sent.bound, sent.egress);
        let (holds, severity) = match kind {
            Kind::DeviceEscape => (elsewhere && sent.origin != Origin::None, Severity::Leak),
            Kind::CopyEscape => (elsewhere && sent.origin == Origin::None, Severity::Leak),
            Kind::AddressEscape => {
                let owner = self.escaped_source()?;
                let kept_in = ZoneSet(self.zones(owner).0 & host.policy.contained.0);
                let left = common(kept_in, kept_in) && !common(kept_in, self.zones(sent.egress));
                let severity = if left { Severity::Leak } else { Severity::Risk };
                (!self.is_way(owner, sent.egress), severity)
            }
            Kind::PolicyEscape => {
                let allowed = self.demand().only_via;
                let outside = !common(self.zones(sent.egress), allowed);
                (allowed.0 != 0 && outside, Severity::Leak)
            }
            Kind::ReplyEscape => {
                let is_elsewhere = sent.heard != IfIndex::NONE
                    && !self.is_way(sent.heard, sent.egress)
                    && !self.is_way(sent.egress, sent.heard);
                let in_one = |zone| {
                    self.zones(sent.heard).contains(zone) != self.zones(sent.egress).contains(zone)
                };
                let leaks =
                    (0..64).any(|zone| host.policy.contained.contains(zone) && in_one(zone));
                let severity = if leaks {
                    Severity::Leak
                } else {
                    Severity::Note
                };
                (is_elsewhere && !pinned, severity)
            }
            Kind::Unpinned => {
                let demanded = self.demand().pinned != 0;
                let of_process = sent.origin == Origin::Process;
                let left_to_routes = !pinned && !sent.names_interface;
                (demanded && of_process && left_to_routes, Severity::Risk)
            }
            Kind::CrossedBind => {
                let owner = self.owner(&sent.bound_address?)?;
                let one_way = self.is_way(owner, sent.bound) || self.is_way(sent.bound, owner);
                (pinned && !one_way, Severity::Note)
            }
            // TC egress cannot know it.
            Kind::IngressEscape | Kind::Unaudited | Kind::ArpFlux => (false, Severity::Leak),
        };
        holds.then_some(severity)
    }

    /// The owner of the source address, where that is asked: for IP packets without a bound device.
    fn escaped_source(&self) -> Option<IfIndex> {
        let unpinned = self.sent.bound == IfIndex::NONE;
        self.owner(&self.sent.packet.filter(|_| unpinned)?.source)
    }

    /// Whether what is meant for `upper` may leave by `lower`.
    fn is_way(&self, upper: IfIndex, lower: IfIndex) -> bool {
        upper == lower
            || self
                .host
                .lower_devices
                .iter()
                .any(|pair| *pair == (upper, lower))
    }

    /// The one interface that has the address, if that sends out of the host.
    fn owner(&self, address: &Address) -> Option<IfIndex> {
        let holders: Vec<_> = self.host.holders.get(address)?.iter().copied().collect();
        match holders[..] {
            [IfIndex::LOOPBACK] => None,
            [only] => Some(only),
            _ => None,
        }
    }

    fn zones(&self, interface: IfIndex) -> ZoneSet {
        self.host.zones.get(&interface).copied().unwrap_or_default()
    }

    /// The first rule of the file that is for this packet.
    fn rule(&self) -> Option<usize> {
        let packet = self.sent.packet?;
        let rules = &self.host.policy.rules;
        rules
            .iter()
            .position(|rule| rule.is_for(&packet, &self.host.sender))
    }

    /// Whether the rule is an exception.
    fn is_allowed(&self) -> bool {
        self.demand().action == 3
    }

    fn demand(&self) -> Demand {
        self.rule()
            .and_then(|number| self.host.policy.rules[number].demand)
            .unwrap_or_default()
    }
}

fn common(one: ZoneSet, other: ZoneSet) -> bool {
    (0..64).any(|zone| one.contains(zone) && other.contains(zone))
}
