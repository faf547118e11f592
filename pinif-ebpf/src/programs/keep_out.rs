//! Whether a packet that arrives is dropped, and its count: what leaves is counted where it is judged.

use pinif_ebpf::{
    key::IfIndex,
    loss::Loss,
    packet::NotParsed,
    policy::Active,
    sighting::{CellKey, Origin},
    verdict::Kind,
};

use crate::{
    enforce,
    kernel::{self, packet::Skb},
    reread,
    state::{
        arriving::{self, Arriving},
        cells, losses,
    },
    verified_once::verified_once,
};

verified_once! {
    /// Not zero: a frame of which not even the addresses can be read, though the kernel would read them, is dropped.
    pub fn pinif_unreadable(skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        if skb.behind_tags() != Err(NotParsed::Malformed) {
            return 0;
        }
        arriving.key.netns = kernel::netns();
        arriving.key.egress = skb.interface();
        arriving.key.bound = IfIndex::NONE;
        arriving.key.kind = 0;
        arriving.new.state.sighting.origin = Origin::None as u8;
        arriving.is_malformed = 1;
        keep_out(skb, active, arriving)
    }

    /// Counts the packet, and writes whether it is dropped. Not zero: it is.
    pub fn pinif_drop_arrival(skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        keep_out(skb, active, arriving)
    }
}

/// Counts the packet in work, and writes whether it is dropped. Returns 1 then, else zero. What is dropped has a cell; of what comes in, the
/// matrix says nothing.
#[inline(never)]
fn keep_out(skb: Skb, active: &Active, arriving: &mut Arriving) -> u32 {
    let count = skb.count_arrived(&arriving.base);
    let Arriving {
        key,
        new,
        is_malformed,
        ..
    } = arriving;
    new.state.count = count;
    let dropped = enforce::keeps_out(active, key, &new.state.sighting, reread(is_malformed));
    key.dropped = dropped as u8;
    if dropped == 0 {
        return 0;
    }
    // In no finding, unlike the rest.
    if reread(&key.kind) == 0 {
        losses::add(Loss::Unparsed);
    }
    let cell = CellKey {
        netns: reread(&key.netns),
        bound: reread(&key.bound),
        egress: reread(&key.egress),
        // Of what cannot be read as well: nothing else says that it came in.
        kind: Kind::IngressEscape as u8,
        origin: reread(&new.state.sighting.origin),
        carried: 0,
        dropped: 1,
        _pad: [0; 4],
    };
    cells::add(&cell, reread(&new.state.count));
    1
}
