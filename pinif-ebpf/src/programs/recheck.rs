//! Rechecks a verdict before it is reported: what the kernel itself says at this instant. See
//! [`pinif_ebpf::verdict::Recheck`].

use pinif_ebpf::{
    intent::flag,
    key::{Address, IfIndex},
    packet::Packet,
    policy::{NO_RULE, Slot, ZoneSet},
    sighting::{FindingKey, Sighting},
    verdict::{Decision, Kind, KindSet, Recheck},
};

use crate::{
    identity::decision,
    kernel::{
        devices::{
            self, Chain, Device, MAX_ADDRESSES, MAX_DEVICES, MAX_STEPS, Step, is_encapsulated,
        },
        packet::Skb,
    },
    reread,
    state::{
        names, owners, policy,
        scratch::{self, Scratch},
    },
    tunnel,
    verified_once::verified_once,
    words::copy,
};

/// What the recheck works on.
#[repr(C)]
pub struct RecheckState {
    chain: Chain,
    /// The bound device, the owner of the source address, the owner of the bound address.
    wanted: [IfIndex; 3],
    /// A bit for each of these that is above the egress interface.
    found: u32,
    zones: ZoneSet,
    contained: ZoneSet,
    address: Address,
    slot: Slot,
    /// Not zero: one of the chain has the address that was looked for.
    has_address: u32,
    /// Not zero: the verdict is another than was decided.
    has_changed: u32,
    /// What there is to look at.
    todo: u32,
    skb: u64,
    /// The verdict that held, as a number, where nothing but the egress interface and the packet itself was asked about it; else zero.
    held: u64,
    /// All that was found.
    live: Recheck,
}

/// What there is to look at: the egress interface itself.
const EGRESS: u32 = 1 << 0;
/// And the devices above it.
const UPPERS: u32 = 1 << 1;
/// And the zones of all these.
const ZONES: u32 = 1 << 2;
/// And their addresses.
const ADDRESS: u32 = 1 << 3;

/// A device that was found above the egress interface ([`RecheckState::found`]).
const BOUND: u32 = 1 << 0;
const SOURCE_OWNER: u32 = 1 << 1;
const BOUND_OWNER: u32 = 1 << 2;

verified_once! {
    /// Reconsiders what the key and the sighting say of the packet in work.
    pub fn pinif_recheck(skb) {
        let todo = begin(skb);
        if todo == 0 || todo == EGRESS && holds_again(skb) {
            return 0;
        }
        if todo & UPPERS != 0 {
            for _ in 0..MAX_STEPS {
                if pinif_recheck_step(skb.context()) == 0 {
                    break;
                }
            }
        }
        if todo & (UPPERS | ZONES) != 0 {
            search_from_egress(skb);
            for _ in 0..MAX_DEVICES {
                if pinif_recheck_device(skb.context()) == 0 {
                    break;
                }
            }
        }
        if todo & ADDRESS != 0 && pinif_recheck_address(skb.context()) != 0 {
            for _ in 0..MAX_ADDRESSES {
                if pinif_recheck_next_address(skb.context()) == 0 {
                    break;
                }
            }
        }
        reconsider_in_work(skb)
    }

    /// One step of the walk. Zero at its end.
    fn pinif_recheck_step(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        u32::from(scratch.recheck.chain.step())
    }

    /// Takes the next of these devices into account. Zero where it was the last.
    fn pinif_recheck_device(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        u32::from(search(&scratch.key, &mut scratch.recheck))
    }

    /// Begins to look for the address that the verdict is about. Zero where it is about none.
    fn pinif_recheck_address(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        let Scratch { packet, key, new, recheck, .. } = scratch;
        let kinds = decision(key, &new.state.sighting).kinds();
        if !choose_address(kinds, packet, &new.state.sighting, recheck) {
            return 0;
        }
        u32::from(recheck.chain.begin_addresses(&recheck.address))
    }

    /// Looks at the next address. Zero where there is no more to look at: it is the one, or was the last.
    fn pinif_recheck_next_address(skb) {
        let Some(Scratch { recheck, .. }) = scratch::get(skb) else {
            return 0;
        };
        let step = recheck.chain.step_addresses(&recheck.address) as u32;
        recheck.has_address = u32::from(step == Step::Found as u32);
        u32::from(step == Step::Next as u32)
    }
}

impl RecheckState {
    /// Begins with another packet.
    #[inline(always)]
    pub fn reset(&mut self) {
        self.has_changed = 0;
        self.held = 0;
    }

    /// Whether the egress interface of the packet that was rechecked last sends nothing; asked where that is the packet in work, whose
    /// address is `skb`.
    #[inline(always)]
    pub fn cannot_send(&self, skb: u64) -> bool {
        if reread(&self.todo) == 0 {
            return devices::cannot_send(skb);
        }
        self.chain.egress().cannot_send()
    }

    /// Whether the verdict is another than was decided.
    #[inline(always)]
    pub fn has_changed(&self) -> bool {
        reread(&self.has_changed) != 0
    }
}

/// Begins to walk over the devices above the egress interface. Returns what there is to look at; zero where the verdict
/// holds whatever that is.
#[inline(always)]
fn begin(skb: Skb) -> u32 {
    let Some((scratch, active)) = scratch::in_work(skb) else {
        return 0;
    };
    let Scratch {
        key, new, recheck, ..
    } = scratch;
    recheck.has_changed = 0;
    recheck.todo = 0;
    let decision = decision(key, &new.state.sighting);
    let kinds = decision.kinds();
    if kinds.0 & KindSet::REVOCABLE.0 == 0 || !recheck.chain.begin(skb) {
        return 0;
    }
    recheck.slot = active.slot;
    recheck.contained = active.contained;
    recheck.found = 0;
    recheck.zones = ZoneSet::EMPTY;
    recheck.has_address = 0;
    recheck.todo = EGRESS
        | bit(recheck.chain.has_uppers(), UPPERS)
        | bit(decision.depends_on_zones(), ZONES)
        | bit(kinds.0 & KindSet::OF_ADDRESSES.0 != 0, ADDRESS);
    // Any of them, as far as the verifier knows.
    reread(&recheck.todo)
}

/// Whether this verdict held for the packet before, one of the same flow, and nothing was asked then that may have another answer now: there
/// is no device above the egress interface, no zone and no address counts, and the policy is the same as long as the flow is.
#[inline(always)]
fn holds_again(skb: Skb) -> bool {
    let Some(Scratch {
        key, new, recheck, ..
    }) = scratch::get(skb)
    else {
        return false;
    };
    recheck.skb = skb.address();
    reread(&recheck.held) == number_of(&decision(key, &new.state.sighting))
        && !is_encapsulated(reread(&recheck.skb))
}

/// All of a verdict that a recheck changes, as a number that is not zero.
#[inline(always)]
fn number_of(decision: &Decision) -> u64 {
    1 << 32
        | u64::from(decision.also.0) << 16
        | u64::from(decision.severity) << 8
        | u64::from(decision.kind)
}

/// Begins to look for whom the verdict is about among these devices, and for the zones of all of them.
#[inline(always)]
fn search_from_egress(skb: Skb) {
    if let Some(Scratch {
        key, new, recheck, ..
    }) = scratch::get(skb)
    {
        begin_search(key, &new.state.sighting, recheck);
    }
}

/// Decides anew, with all that was found. Zero where the verdict is as it was.
#[inline(always)]
fn reconsider_in_work(skb: Skb) -> u32 {
    let Some(scratch) = scratch::get(skb) else {
        return 0;
    };
    scratch.recheck.skb = skb.address();
    reconsider(scratch);
    reread(&scratch.recheck.has_changed)
}

#[inline(always)]
fn reconsider(scratch: &mut Scratch) {
    let Scratch {
        has_packet,
        packet,
        key,
        new,
        recheck,
        ..
    } = scratch;
    let sighting = &mut new.state.sighting;
    let packet = (reread(has_packet) != 0).then_some(&*packet);
    let before = decision(key, sighting);
    recheck.live = facts(packet, key, sighting, &before, recheck);
    let decision = before.reconsidered(&reread(&recheck.live));
    recheck.has_changed = u32::from(decision.kind ^ before.kind)
        | u32::from(decision.severity ^ before.severity)
        | u32::from(decision.also.0 ^ before.also.0);
    key.kind = decision.kind;
    key.severity = decision.severity;
    sighting.also = decision.also.0;
    let holds = reread(&recheck.has_changed) == 0 && reread(&recheck.todo) == EGRESS;
    recheck.held = if holds { number_of(&decision) } else { 0 };
}

#[inline(always)]
fn begin_search(key: &FindingKey, sighting: &Sighting, recheck: &mut RecheckState) {
    recheck.wanted[0] = key.bound;
    recheck.wanted[1] = sighting.source_owner;
    recheck.wanted[2] = if sighting.flags & flag::BOUND_ADDRESS != 0 {
        owners::of(key.netns, &sighting.bound_address).unwrap_or(IfIndex::NONE)
    } else {
        IfIndex::NONE
    };
    recheck.chain.rewind();
}

/// False where this was the last device.
#[inline(always)]
fn search(key: &FindingKey, recheck: &mut RecheckState) -> bool {
    let Some(device) = recheck.chain.device() else {
        return false;
    };
    // The egress interface itself is above none.
    if recheck.chain.place() != 0 {
        let index = device.index();
        recheck.found = reread(&recheck.found)
            | bit(reread(&recheck.wanted[0]) == index, BOUND)
            | bit(reread(&recheck.wanted[1]) == index, SOURCE_OWNER)
            | bit(reread(&recheck.wanted[2]) == index, BOUND_OWNER);
    }
    recheck.zones.0 = reread(&recheck.zones.0) | zones_of(key, recheck, device);
    recheck.chain.advance();
    recheck.chain.device().is_some()
}

#[inline(always)]
const fn bit(is_set: bool, bit: u32) -> u32 {
    if is_set { bit } else { 0 }
}

/// The zones that are published for a device; all, if that was for another name: userspace is about to learn of the new
/// one, and to find its zones.
#[inline(always)]
fn zones_of(key: &FindingKey, recheck: &RecheckState, device: Device) -> u64 {
    let index = device.index();
    names::if_known(key.netns, index, device, u64::MAX, || {
        policy::zones(key.netns, reread(&recheck.slot), index).0
    })
}

/// Writes the one address that the verdict is about: that is the bound address of a pinned socket, or the source of
/// another's packet. False where it is about none.
#[inline(always)]
fn choose_address(
    kinds: KindSet,
    packet: &Packet,
    sighting: &Sighting,
    recheck: &mut RecheckState,
) -> bool {
    if kinds.contains(Kind::AddressEscape) {
        copy(&mut recheck.address, &packet.source);
        return true;
    }
    if kinds.contains(Kind::CrossedBind) {
        copy(&mut recheck.address, &sighting.bound_address);
        return true;
    }
    false
}

#[inline(always)]
fn facts(
    packet: Option<&Packet>,
    key: &FindingKey,
    sighting: &Sighting,
    decision: &Decision,
    recheck: &RecheckState,
) -> Recheck {
    let found = reread(&recheck.found);
    let (netns, slot, bound) = (key.netns, reread(&recheck.slot), reread(&key.bound));
    let has_address = reread(&recheck.has_address) != 0;
    let is_at_bound = bound == key.egress || found & BOUND != 0;
    let is_tunnels = || tunnel::is_of_bound(reread(&recheck.skb), netns, packet, bound);
    let rule = reread(&sighting.rule);
    Recheck {
        is_lower_of_bound: bound.is_some() && (found & BOUND != 0 || is_tunnels()),
        is_lower_of_source_owner: found & SOURCE_OWNER != 0,
        has_source: has_address && !bound.is_some(),
        has_bound_address: (has_address && is_at_bound)
            || (found & BOUND_OWNER != 0 && bound == key.egress)
            || (found & BOUND != 0 && reread(&recheck.wanted[2]) == key.egress),
        zones: ZoneSet(reread(&recheck.zones.0)),
        only_via: if rule == NO_RULE {
            ZoneSet::EMPTY
        } else {
            policy::demand(slot, rule).map_or(ZoneSet::EMPTY, |demand| demand.only_via)
        },
        owner_contained: if decision.is_leak_by_address() {
            policy::zones(netns, slot, reread(&sighting.source_owner))
                .intersection(ZoneSet(reread(&recheck.contained.0)))
        } else {
            ZoneSet::EMPTY
        },
    }
}
