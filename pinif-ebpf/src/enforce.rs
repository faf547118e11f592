//! What is dropped of what is found, while a policy is enforced.
//!
//! A leak is dropped, and nothing else, unless a rule says otherwise of what breaks it. Where nothing is enforced, nothing
//! is dropped, whatever a rule says.

use crate::{
    policy::{Active, Demand, ZoneSet, flags},
    verdict::{Decision, Kind, KindSet, Severity},
};

/// What becomes of a packet that breaks a rule: what is said of the rule's own kinds, `policy-escape` and `unpinned`. Or that the rule
/// is an exception, about every kind.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// The rule does not say: a leak is dropped, a risk is not.
    #[default]
    Unsaid = 0,
    /// It is reported, and not dropped.
    Alert = 1,
    /// It is dropped, be it a risk alone.
    Drop = 2,
    /// Nothing is found of what the rule names, be it of another kind, and nothing of it is dropped. Such a rule demands nothing.
    Allow = 3,
}

impl Action {
    /// The action with this number; unknown numbers say nothing.
    #[inline(always)]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Alert,
            2 => Self::Drop,
            3 => Self::Allow,
            _ => Self::Unsaid,
        }
    }

    /// Whether it drops what is as grave as this for the sake of its rule.
    #[inline(always)]
    const fn drops(self, severity: Severity) -> bool {
        match self {
            Self::Unsaid => matches!(severity, Severity::Leak),
            Self::Alert | Self::Allow => false,
            Self::Drop => true,
        }
    }
}

/// Until when is enforced ([`Active::enforce_until`]), in nanoseconds of `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`).
pub mod until {
    /// Not at all.
    pub const NEVER: u64 = 0;
    /// For good.
    pub const ALWAYS: u64 = u64::MAX;

    /// Whether it is enforced at this instant. `now` is asked only where that depends on it.
    #[inline(always)]
    pub fn holds(until: u64, now: impl FnOnce() -> u64) -> bool {
        match until {
            NEVER => false,
            ALWAYS => true,
            deadline => now() < deadline,
        }
    }
}

impl Active {
    /// Whether it is enforced at this instant. `now` is asked only where that depends on it.
    #[inline(always)]
    pub fn enforces(&self, now: impl FnOnce() -> u64) -> bool {
        // SAFETY: a valid reference. Volatile: userspace may move the deadline while this is in force.
        let until = unsafe { (&raw const self.enforce_until).read_volatile() };
        until::holds(until, now)
    }

    /// Whether a packet whose headers cannot be read may leave by an interface of these zones, of which `about` is published
    /// ([`flags`]): whatever it is, it breaks no rule there and leaves no contained zone, or it does not leave.
    #[inline(always)]
    pub const fn lets_unparsed(&self, about: u64, zones: ZoneSet) -> bool {
        self.drops_unparsed == 0
            || about & flags::LEADS_NOWHERE != 0
            || (about & flags::KEEPS_PINNED != 0
                && self.contained.intersection(zones).0 == self.contained.0)
    }
}

impl Demand {
    /// What becomes of a packet that breaks the rule.
    #[inline(always)]
    pub const fn action(&self) -> Action {
        Action::from_number(self.action)
    }

    /// All ones where the rule is an exception ([`Action::Allow`]), else zero. Without a branch, which the verifier would follow.
    #[inline(always)]
    pub const fn allowed(&self) -> u32 {
        let other = self.action ^ Action::Allow as u32;
        ((other | other.wrapping_neg()) >> 31).wrapping_sub(1)
    }
}

impl Decision {
    /// Whether a packet with this verdict is dropped where it is enforced; `action` is that of the rule that decided.
    ///
    /// What a packet is beside the gravest is looked at as well: it may be an alert for its rule, and a leak for another
    /// reason. An `address-escape` that is not the gravest is a risk: it is asked of unpinned traffic, of which it is the
    /// first in the table, so that as a leak nothing goes before it. Of a `reply-escape` beside a `policy-escape`, the rule says
    /// what becomes.
    #[inline(always)]
    pub const fn is_dropped(&self, action: Action) -> bool {
        let kinds = self.kinds();
        let gravest = KindSet(1 << self.kind);
        let is_leak = self.severity == Severity::Leak as u8;
        kinds.intersects(KindSet::DROPPED)
            || (is_leak && gravest.intersects(KindSet::DROPPED_AS_LEAKS))
            || (kinds.intersects(KindSet::LEAKS_BY_RULE) && action.drops(Severity::Leak))
            || (kinds.intersects(KindSet::RISKS_BY_RULE) && action.drops(Severity::Risk))
    }

    /// The same of a packet that arrives. What belongs to a contained zone is dropped whoever would receive it, a risk as well: netfilter may
    /// give it to another socket than the look-up finds, and one may be bound before the packet is there. Of what breaks a rule
    /// alone, the rule says what becomes.
    #[inline(always)]
    pub const fn is_kept_out(&self, action: Action) -> bool {
        self.kind == Kind::IngressEscape as u8
            && (self.source_owner.is_some() || action.drops(Severity::Leak))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::IfIndex, verdict::ALLOWED};

    const ACTIONS: [Action; 3] = [Action::Unsaid, Action::Alert, Action::Drop];

    fn enforced_until(enforce_until: u64) -> Active {
        Active {
            enforce_until,
            ..Active::default()
        }
    }

    fn held(kind: Kind, severity: Severity, also: &[Kind]) -> Decision {
        let mut others = KindSet::default();
        also.iter().for_each(|&kind| others.insert(kind));
        Decision {
            kind: kind as u8,
            severity: severity as u8,
            also: others,
            ..Decision::CONTAINED
        }
    }

    /// Whether it is dropped by a rule that says nothing, by one that alerts, by one that drops.
    fn dropped(decision: Decision) -> [bool; 3] {
        ACTIONS.map(|action| decision.is_dropped(action))
    }

    #[test]
    fn what_cannot_be_read_leaves_only_where_nothing_can_be_broken() {
        let zones = |zones: u64| ZoneSet(zones);
        let policy = Active {
            contained: zones(0b01),
            drops_unparsed: 1,
            ..Active::default()
        };
        let keeps = flags::KEEPS_PINNED;
        assert!(policy.lets_unparsed(keeps, zones(0b11)));
        assert!(
            !policy.lets_unparsed(0, zones(0b11)),
            "a rule may be broken"
        );
        assert!(
            !policy.lets_unparsed(keeps, zones(0b10)),
            "it may leave the zone"
        );
        assert!(policy.lets_unparsed(flags::LEADS_NOWHERE, zones(0)));
        let passes = Active {
            drops_unparsed: 0,
            ..policy
        };
        assert!(passes.lets_unparsed(0, zones(0)));
    }

    #[test]
    fn the_clock_is_asked_for_a_deadline_alone() {
        let nobody = || panic!("nobody asked");
        assert!(!enforced_until(until::NEVER).enforces(nobody));
        assert!(enforced_until(until::ALWAYS).enforces(nobody));
        for (now, enforces) in [(0, true), (99, true), (100, false), (u64::MAX, false)] {
            assert_eq!(enforced_until(100).enforces(|| now), enforces, "{now}");
        }
    }

    #[test]
    fn a_new_policy_enforces_nothing() {
        assert_eq!(Active::default().enforce_until, until::NEVER);
        assert_eq!(Demand::default().action(), Action::Unsaid);
    }

    #[test]
    fn numbers_lead_back_to_their_actions() {
        for action in ACTIONS.into_iter().chain([Action::Allow]) {
            assert_eq!(Action::from_number(action as u32), action);
        }
        assert_eq!(Action::from_number(4), Action::Unsaid);
    }

    #[test]
    fn one_action_allows() {
        for action in ACTIONS.into_iter().chain([Action::Allow]) {
            let demand = Demand {
                action: action as u32,
                ..Demand::NONE
            };
            let is_allowed = demand.allowed() == u32::MAX;
            assert_eq!(is_allowed, action == Action::Allow);
            assert!(is_allowed || demand.allowed() == 0);
        }
    }

    #[test]
    fn what_is_contained_is_never_dropped() {
        assert_eq!(dropped(Decision::CONTAINED), [false; 3]);
    }

    #[test]
    fn what_is_allowed_is_never_dropped() {
        let allowed = Decision {
            kind: ALLOWED,
            ..Decision::CONTAINED
        };
        assert_eq!(dropped(allowed), [false; 3]);
        assert!(!allowed.is_dropped(Action::Allow));
    }

    #[test]
    fn a_leak_that_is_not_the_rules_is_dropped_whatever_the_rule_says() {
        let all = [true; 3];
        for kind in [Kind::DeviceEscape, Kind::CopyEscape, Kind::AddressEscape] {
            assert_eq!(dropped(held(kind, Severity::Leak, &[])), all, "{kind:?}");
            let other = held(kind, Severity::Leak, &[Kind::PolicyEscape, Kind::Unpinned]);
            assert_eq!(dropped(other), all, "{kind:?}");
        }
    }

    #[test]
    fn a_rule_says_what_becomes_of_what_breaks_it() {
        let escape = held(Kind::PolicyEscape, Severity::Leak, &[]);
        assert_eq!(dropped(escape), [true, false, true]);
        let unpinned = held(Kind::Unpinned, Severity::Risk, &[]);
        assert_eq!(dropped(unpinned), [false, false, true]);
        let both = held(Kind::PolicyEscape, Severity::Leak, &[Kind::Unpinned]);
        assert_eq!(dropped(both), [true, false, true]);
    }

    #[test]
    fn a_risk_beside_what_is_only_reported_is_not_dropped() {
        let beside = held(Kind::PolicyEscape, Severity::Leak, &[Kind::AddressEscape]);
        assert_eq!(dropped(beside), [true, false, true]);
        let risk = held(Kind::AddressEscape, Severity::Risk, &[]);
        assert_eq!(dropped(risk), [false; 3]);
        let both = held(Kind::AddressEscape, Severity::Risk, &[Kind::Unpinned]);
        assert_eq!(dropped(both), [false, false, true]);
        let crossed = held(Kind::CrossedBind, Severity::Note, &[]);
        assert_eq!(dropped(crossed), [false; 3]);
    }

    #[test]
    fn what_arrives_is_kept_out_for_its_zone_and_as_its_rule_says() {
        let kept_out = |decision: Decision| ACTIONS.map(|action| decision.is_kept_out(action));
        let of_rule = held(Kind::IngressEscape, Severity::Leak, &[]);
        assert_eq!(kept_out(of_rule), [true, false, true]);
        for severity in [Severity::Leak, Severity::Risk] {
            let of_zone = Decision {
                source_owner: IfIndex(7),
                ..held(Kind::IngressEscape, severity, &[])
            };
            assert_eq!(kept_out(of_zone), [true; 3]);
        }
        assert_eq!(dropped(of_rule), [false; 3], "it does not leave");
        assert_eq!(kept_out(Decision::CONTAINED), [false; 3]);
    }
}
