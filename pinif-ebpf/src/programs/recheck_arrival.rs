//! Rechecks the verdict on a packet that arrived, before it is reported or dropped: what the kernel itself says at this instant of the
//! interface that it came in by. See [`ArrivalRecheck`].

use pinif_ebpf::{
    sighting::{FindingKey, Sighting},
    verdict::arrival::ArrivalRecheck,
};

use crate::{
    identity::decision,
    kernel::devices::{Chain, MAX_ADDRESSES, MAX_DEVICES, MAX_STEPS, Step},
    reread,
    state::{
        arriving::{self, Arriving},
        names,
    },
    verified_once::verified_once,
};

/// What the recheck works on.
#[repr(C)]
pub struct ArrivalRecheckState {
    chain: Chain,
    /// Not zero: one of the chain has a name that userspace does not know.
    is_unknown: u32,
    /// Not zero: one of the chain has the destination address.
    has_destination: u32,
}

verified_once! {
    /// Reconsiders what the key and the sighting say of the packet in work. Zero where nothing is amiss with it.
    pub fn pinif_recheck_arrival(skb) {
        let context = skb.context();
        if pinif_arrival_chain(context) == 0 {
            return 1;
        }
        for _ in 0..MAX_STEPS {
            if pinif_arrival_step(context) == 0 {
                break;
            }
        }
        pinif_arrival_rewind(context);
        for _ in 0..MAX_DEVICES {
            if pinif_arrival_device(context) == 0 {
                break;
            }
        }
        if pinif_arrival_address(context) != 0 {
            for _ in 0..MAX_ADDRESSES {
                if pinif_arrival_next_address(context) == 0 {
                    break;
                }
            }
        }
        pinif_arrival_reconsider(context) as u32
    }

    /// Begins with the interface, and those above it. Zero where this kernel's structures are not known: the verdict holds.
    fn pinif_arrival_chain(skb) {
        let Some(Arriving { recheck, .. }) = arriving::get() else {
            return 0;
        };
        recheck.is_unknown = 0;
        recheck.has_destination = 0;
        u32::from(recheck.chain.begin(skb))
    }

    /// One step to those above. Zero at the end.
    fn pinif_arrival_step(_skb) {
        arriving::get().map_or(0, |arriving| u32::from(arriving.recheck.chain.step()))
    }

    /// Goes back to the interface.
    fn pinif_arrival_rewind(_skb) {
        if let Some(arriving) = arriving::get() {
            arriving.recheck.chain.rewind();
        }
        0
    }

    /// Looks at the name of the next of these devices. Zero behind the last.
    fn pinif_arrival_device(_skb) {
        let Some(Arriving { key, recheck, .. }) = arriving::get() else {
            return 0;
        };
        let Some(device) = recheck.chain.device() else {
            return 0;
        };
        let netns = reread(&key.netns);
        let is_unknown = names::if_known(netns, device.index(), device, 1, || 0);
        recheck.is_unknown = reread(&recheck.is_unknown) | is_unknown;
        recheck.chain.advance();
        1
    }

    /// Begins to look for the destination among their addresses.
    fn pinif_arrival_address(_skb) {
        let Some(Arriving { packet, recheck, .. }) = arriving::get() else {
            return 0;
        };
        u32::from(recheck.chain.begin_addresses(&packet.destination))
    }

    /// Looks at the next address. Zero where there is no more to look at: it is the one, or was the last.
    fn pinif_arrival_next_address(_skb) {
        let Some(Arriving { packet, recheck, .. }) = arriving::get() else {
            return 0;
        };
        let step = recheck.chain.step_addresses(&packet.destination);
        if matches!(step, Step::Found) {
            recheck.has_destination = 1;
        }
        u32::from(matches!(step, Step::Next))
    }

    /// Decides anew, with all that was found.
    fn pinif_arrival_reconsider(_skb) {
        let Some(Arriving { key, new, recheck, .. }) = arriving::get() else {
            return 0;
        };
        reconsider(key, &mut new.state.sighting, recheck)
    }
}

#[inline(always)]
fn reconsider(key: &mut FindingKey, sighting: &mut Sighting, recheck: &ArrivalRecheckState) -> u32 {
    let live = ArrivalRecheck {
        has_destination: reread(&recheck.has_destination) != 0,
        is_unknown: reread(&recheck.is_unknown) != 0,
    };
    let before = decision(key, sighting);
    let decision = before.reconsidered_arrival(live);
    key.kind = decision.kind;
    key.severity = decision.severity;
    sighting.source_owner = decision.source_owner;
    u32::from(decision.kind)
}
