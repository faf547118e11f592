//! Whether a packet that must not leave is dropped. See [`pinif_ebpf::enforce`].

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use pinif_ebpf::{
    enforce::{Action, until},
    policy::{Active, InForce, InterfaceZones, NO_RULE},
    sighting::{FindingKey, Sighting},
    verdict::Decision,
};

use crate::{identity::decision, reread, state::policy};

/// What is in force, where it is enforced now.
#[inline(always)]
pub fn active(in_force: InForce) -> Option<&'static Active> {
    policy::active(in_force).filter(|active| active.enforces(now))
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// Whether the packet with this verdict is dropped: 1, else 0.
///
/// One that `is_malformed` is dropped, whatever its device says of it, where it might break the policy
/// ([`Active::lets_unparsed`]).
#[inline(always)]
pub fn drops(active: &Active, key: &FindingKey, sighting: &Sighting, is_malformed: u32) -> u32 {
    // The usual case: without an enforced policy nothing else is looked at, and nothing called.
    if reread(&active.enforce_until) == until::NEVER {
        return 0;
    }
    drops_enforced(active, key, sighting, is_malformed)
}

/// The same where a policy is enforced, or was until some instant. A function of its own, since the stack is 512 bytes for the
/// deepest chain of calls.
#[inline(never)]
fn drops_enforced(
    active: &Active,
    key: &FindingKey,
    sighting: &Sighting,
    is_malformed: u32,
) -> u32 {
    if is_malformed == 0 && reread(&key.kind) == 0 {
        return 0;
    }
    if is_malformed != 0 {
        let InterfaceZones { zones, about } = policy::interface(key.netns, active.slot, key.egress);
        if !active.lets_unparsed(about, zones) {
            return u32::from(active.enforces(now));
        }
    }
    let decision = decision(key, sighting);
    u32::from(decision.is_dropped(action(active, decision.rule)) && active.enforces(now))
}

/// The same of a packet that arrives, and has the verdict that key and sighting say.
///
/// One that `is_malformed` is dropped where a rule may be broken by it: its ports are not known, and no interface is asked for, since this one
/// does not meet the rule.
#[inline(never)]
pub fn keeps_out(active: &Active, key: &FindingKey, sighting: &Sighting, is_malformed: u32) -> u32 {
    if reread(&active.enforce_until) == until::NEVER {
        return 0;
    }
    if is_malformed != 0 && active.drops_unparsed != 0 {
        return u32::from(active.enforces(now));
    }
    let rule = reread(&sighting.rule);
    let decision = Decision {
        kind: reread(&key.kind),
        rule,
        source_owner: reread(&sighting.source_owner),
        ..Decision::CONTAINED
    };
    u32::from(decision.is_kept_out(action(active, rule)) && active.enforces(now))
}

/// What becomes of what breaks a rule.
#[inline(always)]
fn action(active: &Active, rule: u16) -> Action {
    if rule == NO_RULE {
        return Action::Unsaid;
    }
    policy::demand(active.slot, rule).map_or(Action::Unsaid, |demand| demand.action())
}
