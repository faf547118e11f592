//! The second look at a verdict, before it is told: what the kernel says at this instant. See
//! [`pinif_ebpf::verdict::Live`].

use pinif_ebpf::{
    intent::flag,
    key::IfIndex,
    packet::Packet,
    policy::{Active, NO_RULE, Slot, ZoneSet},
    sighting::{FindingKey, Sighting},
    verdict::{Decision, Kind, KindSet, Live},
};

use crate::{
    kernel::{
        devices::{Chain, Device},
        packet::Skb,
    },
    reread,
    state::{names, owners, policy},
    tunnel,
};

/// How many devices are asked for their names: the egress interface, and those above it.
const MAX_DEVICES: u32 = 16;

/// What the second look works on.
#[repr(C)]
pub struct Second {
    chain: Chain,
    /// The bound device, the owner of the source address, the owner of the bound address.
    wanted: [IfIndex; 3],
    /// A bit for each of these that is above the egress interface.
    found: u32,
    zones: ZoneSet,
    contained: ZoneSet,
    slot: Slot,
    /// Not zero: one of the chain has the address that was looked for.
    has_address: u32,
    skb: u64,
}

const BOUND: u32 = 1 << 0;
const SOURCE_OWNER: u32 = 1 << 1;
const BOUND_OWNER: u32 = 1 << 2;

/// Says by which policy the verdict was made.
#[inline(always)]
pub fn prepare(second: &mut Second, active: &Active) {
    second.slot = active.slot;
    second.contained = active.contained;
}

/// Reconsiders what the key and the sighting say, and returns the number of the kind that remains.
#[inline(never)]
pub fn reconsider(
    skb: Skb,
    packet: Option<&Packet>,
    key: &mut FindingKey,
    sighting: &mut Sighting,
    second: &mut Second,
) -> u32 {
    let decision = Decision {
        kind: reread(&key.kind),
        severity: reread(&key.severity),
        also: KindSet(reread(&sighting.also)),
        rule: reread(&sighting.rule),
        source_owner: reread(&sighting.source_owner),
    };
    if decision.kinds().0 & KindSet::REVOCABLE.0 == 0 || !second.chain.walk(skb) {
        return u32::from(decision.kind);
    }
    search(key, sighting, second);
    look_for_address(packet, key, sighting, second);
    second.skb = skb.address();
    let decision = decision.reconsidered(&live(packet, key, sighting, second));
    key.kind = decision.kind;
    key.severity = decision.severity;
    sighting.also = decision.also.0;
    u32::from(reread(&key.kind))
}

/// Looks for whom the verdict is about among the devices above the egress interface, and for the zones of all of them.
#[inline(never)]
fn search(key: &FindingKey, sighting: &Sighting, second: &mut Second) -> u32 {
    second.wanted[0] = key.bound;
    second.wanted[1] = sighting.source_owner;
    second.wanted[2] = if sighting.flags & flag::BOUND_ADDRESS != 0 {
        owners::of(key.netns, &sighting.bound_address).unwrap_or(IfIndex::NONE)
    } else {
        IfIndex::NONE
    };
    second.found = 0;
    second.zones = ZoneSet::EMPTY;
    for place in 0..MAX_DEVICES {
        let Some(device) = second.chain.device(place) else {
            break;
        };
        let index = device.index();
        if place > 0 {
            second.found = reread(&second.found)
                | bit(reread(&second.wanted[0]) == index, BOUND)
                | bit(reread(&second.wanted[1]) == index, SOURCE_OWNER)
                | bit(reread(&second.wanted[2]) == index, BOUND_OWNER);
        }
        second.zones.0 = reread(&second.zones.0) | zones_of(key, second, device, index);
    }
    0
}

#[inline(always)]
const fn bit(is_set: bool, bit: u32) -> u32 {
    if is_set { bit } else { 0 }
}

/// The zones that are published for a device; all, if that was for another name: userspace is about to hear of the new
/// one, and to find its zones.
#[inline(always)]
fn zones_of(key: &FindingKey, second: &Second, device: Device, index: IfIndex) -> u64 {
    match names::of(key.netns, index) {
        Some(name) if name.words() == device.name().until_zero() => {
            policy::zones(key.netns, reread(&second.slot), index).0
        }
        Some(_) | None => u64::MAX,
    }
}

/// Looks for the one address that the verdict is about. A verdict on an address is one on the source of an unpinned socket,
/// or on the bound address of a pinned one.
#[inline(always)]
fn look_for_address(
    packet: Option<&Packet>,
    key: &FindingKey,
    sighting: &Sighting,
    second: &mut Second,
) {
    let kinds = KindSet(1 << reread(&key.kind) | reread(&sighting.also));
    let address = if kinds.contains(Kind::CrossedBind) {
        Some(&sighting.bound_address)
    } else if kinds.contains(Kind::AddressEscape) {
        packet.map(|packet| &packet.source)
    } else {
        None
    };
    second.has_address = match address {
        Some(address) => u32::from(second.chain.has(address)),
        None => 0,
    };
}

#[inline(always)]
fn live(packet: Option<&Packet>, key: &FindingKey, sighting: &Sighting, second: &Second) -> Live {
    let found = reread(&second.found);
    let (netns, slot, bound) = (key.netns, reread(&second.slot), reread(&key.bound));
    let has_address = reread(&second.has_address) != 0;
    let is_at_bound = bound == key.egress || found & BOUND != 0;
    let is_tunnels = || tunnel::is_of_bound(reread(&second.skb), packet, bound);
    let rule = reread(&sighting.rule);
    Live {
        carries_bound: bound.is_some() && (found & BOUND != 0 || is_tunnels()),
        carries_source_owner: found & SOURCE_OWNER != 0,
        has_source: has_address && !bound.is_some(),
        has_bound_address: (has_address && is_at_bound)
            || (found & BOUND_OWNER != 0 && bound == key.egress)
            || (found & BOUND != 0 && reread(&second.wanted[2]) == key.egress),
        zones: ZoneSet(reread(&second.zones.0)),
        only_via: if rule == NO_RULE {
            ZoneSet::EMPTY
        } else {
            policy::demand(slot, rule).map_or(ZoneSet::EMPTY, |demand| demand.only_via)
        },
        owner_contained: policy::zones(netns, slot, reread(&sighting.source_owner))
            .intersection(ZoneSet(reread(&second.contained.0))),
    }
}
