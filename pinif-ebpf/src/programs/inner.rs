//! The packet inside one that a route encapsulated: rules hold for it as well. What a tunnel's device encapsulates was judged there.
//!
//! The programs come here with what has a header of IP or MPLS before another packet's, and with nothing else.

use pinif_ebpf::{packet::Packet, packet::inner::may_carry, sighting::Origin};

use crate::{
    identity::decision,
    judging::judge,
    kernel::{
        devices::{is_encapsulated, is_from_tunnel},
        packet::Skb,
    },
    reread,
    state::{
        owners,
        scratch::{self, Scratch},
    },
    verified_once::verified_once,
    words::copy,
};

/// What a step returns beside a verdict's number: the packet may have another inside.
pub const MAY_CARRY: u32 = 1 << 8;

/// [`MAY_CARRY`], where it may.
#[inline(always)]
pub fn may_carry_bit(skb: Skb, packet: Option<&Packet>) -> u32 {
    if may_carry(packet, || skb.ethertype()) {
        MAY_CARRY
    } else {
        0
    }
}

/// Judges what is inside, by rules. Not zero: the packet is not contained.
#[inline(always)]
pub fn judge_inner(skb: Skb) -> u64 {
    let context = skb.context();
    if pinif_inner_start(context) != 0 {
        pinif_inner_headers(context);
    }
    pinif_inner_judge(context)
}

verified_once! {
    /// Finds where the inner packet begins. Zero where the stack did not put it there, it is a tunnel's, or what is forwarded had it already.
    fn pinif_inner_start(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, layer, inner, inner_start, has_inner, .. } = scratch;
        *has_inner = 0;
        layer.skb = skb.address();
        let skb_address = reread(&layer.skb);
        // What labels of MPLS were put around has an ethertype inside.
        if reread(&layer.outer) != 0
            || !is_encapsulated(skb_address)
            || is_from_tunnel(skb_address)
        {
            return 0;
        }
        let is_ours = reread(has_packet) == 0
            || reread(&new.state.sighting.origin) != Origin::None as u8
            || owners::of(key.netns, &packet.source).is_some();
        if !is_ours {
            return 0;
        }
        match skb.inner_start(inner) {
            Ok(start) => {
                *inner_start = start as u32;
                1
            }
            Err(_) => 0,
        }
    }

    /// Reads its headers.
    fn pinif_inner_headers(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        let start = reread(&scratch.inner_start) as usize;
        let parsed = skb.parse_inner(start, &mut scratch.inner);
        scratch.has_inner = u32::from(parsed.is_ok());
        0
    }

    /// Judges it. If a rule keeps it in, that is the verdict, and it is the packet that is shown. Returns the verdict's number.
    fn pinif_inner_judge(skb) {
        let Some((scratch, active)) = scratch::in_work(skb) else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, inner, has_inner, .. } = scratch;
        if reread(has_inner) == 0 {
            return u32::from(reread(&key.kind));
        }
        let sighting = &mut new.state.sighting;
        let before = decision(key, sighting);
        judge(skb, active, Some(&*inner), key, sighting);
        let decision = before.carrying(decision(key, sighting));
        key.kind = decision.kind;
        key.severity = decision.severity;
        sighting.rule = decision.rule;
        sighting.also = decision.also.0;
        sighting.source_owner = decision.source_owner;
        if decision.kind != before.kind {
            copy(packet, inner);
            *has_packet = 1;
        }
        u32::from(reread(&key.kind))
    }
}
