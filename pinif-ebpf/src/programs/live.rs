//! The second look at a verdict, before it is told: what the kernel says at this instant. See
//! [`pinif_ebpf::verdict::Live`].

use pinif_ebpf::{
    intent::flag,
    key::{Address, IfIndex},
    packet::Packet,
    policy::{Active, NO_RULE, Slot, ZoneSet},
    sighting::{FindingKey, Sighting},
    verdict::{Decision, Kind, KindSet, Live},
};

use crate::{
    kernel::{
        devices::{Chain, Device, MAX_DEVICES},
        packet::Skb,
    },
    reread,
    state::{names, owners, policy, scratch::Scratch},
    tunnel,
    words::copy,
};

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
    address: Address,
    slot: Slot,
    has_packet: u32,
    /// Not zero: `address` is looked for.
    seeks: u32,
    /// Not zero: one of the chain has the address that was looked for.
    has_address: u32,
    skb: u64,
}

const BOUND: u32 = 1 << 0;
const SOURCE_OWNER: u32 = 1 << 1;
const BOUND_OWNER: u32 = 1 << 2;

/// Says by which policy the verdict was made, and whether on a packet whose headers were read.
#[inline(always)]
pub fn prepare(second: &mut Second, active: &Active, has_packet: bool) {
    second.slot = active.slot;
    second.contained = active.contained;
    second.has_packet = u32::from(has_packet);
}

/// Reconsiders what the key and the sighting say. All is in the map, so that the verifier follows one way through this
/// alone, whatever led here.
#[inline(never)]
pub fn reconsider(skb: Skb, scratch: &mut Scratch) -> u32 {
    let Scratch {
        packet,
        key,
        new,
        second,
        ..
    } = scratch;
    let sighting = &mut new.sighting;
    let kinds = KindSet(1 << reread(&key.kind) | reread(&sighting.also));
    if kinds.0 & KindSet::REVOCABLE.0 == 0 || !second.chain.walk(skb) {
        return 0;
    }
    search(key, sighting, second);
    choose_address(kinds, packet, sighting, second);
    second.has_address = u32::from(reread(&second.seeks) != 0 && second.chain.has(&second.address));
    second.skb = skb.address();
    let decision = Decision {
        kind: reread(&key.kind),
        severity: reread(&key.severity),
        also: KindSet(reread(&sighting.also)),
        rule: reread(&sighting.rule),
        source_owner: reread(&sighting.source_owner),
    };
    let decision = decision.reconsidered(&live(packet, key, sighting, second));
    key.kind = decision.kind;
    key.severity = decision.severity;
    sighting.also = decision.also.0;
    0
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
    // Two loops, since the verifier follows each way through the first part of one with each through the second.
    for place in 1..MAX_DEVICES {
        let Some(device) = second.chain.device(place) else {
            break;
        };
        let index = device.index();
        second.found = reread(&second.found)
            | bit(reread(&second.wanted[0]) == index, BOUND)
            | bit(reread(&second.wanted[1]) == index, SOURCE_OWNER)
            | bit(reread(&second.wanted[2]) == index, BOUND_OWNER);
    }
    for place in 0..MAX_DEVICES {
        let Some(device) = second.chain.device(place) else {
            break;
        };
        second.zones.0 = reread(&second.zones.0) | zones_of(key, second, device);
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
fn zones_of(key: &FindingKey, second: &Second, device: Device) -> u64 {
    let index = device.index();
    match names::of(key.netns, index) {
        Some(name) if name.words() == device.name().until_zero() => {
            policy::zones(key.netns, reread(&second.slot), index).0
        }
        Some(_) | None => u64::MAX,
    }
}

/// Writes the one address that the verdict is about: that is the bound address of a pinned socket, or the source of
/// another's packet.
#[inline(always)]
fn choose_address(kinds: KindSet, packet: &Packet, sighting: &Sighting, second: &mut Second) {
    second.seeks = 0;
    if kinds.contains(Kind::CrossedBind) {
        copy(&mut second.address, &sighting.bound_address);
        second.seeks = 1;
    }
    if kinds.contains(Kind::AddressEscape) {
        copy(&mut second.address, &packet.source);
        second.seeks = 1;
    }
}

#[inline(always)]
fn live(packet: &Packet, key: &FindingKey, sighting: &Sighting, second: &Second) -> Live {
    let found = reread(&second.found);
    let (netns, slot, bound) = (key.netns, reread(&second.slot), reread(&key.bound));
    let has_address = reread(&second.has_address) != 0;
    let is_at_bound = bound == key.egress || found & BOUND != 0;
    let is_tunnels = || {
        let packet = (reread(&second.has_packet) != 0).then_some(packet);
        tunnel::is_of_bound(reread(&second.skb), packet, bound)
    };
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
