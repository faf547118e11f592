//! Interfaces on top of each other: whether a packet has been counted before it came here.

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    policy::{Active, flags},
    sighting::FindingKey,
};

use crate::{
    kernel::{devices, packet::Skb},
    reread,
    state::{bridges, lower_devices, policy},
    tunnel::{self, Layer},
};

/// Writes whether the packet was counted on an interface above this one. Marks it for the one below.
#[inline(never)]
pub fn pass(
    skb: Skb,
    active: &Active,
    key: &FindingKey,
    source_owner: IfIndex,
    layer: &mut Layer,
) -> u32 {
    let (netns, egress) = (key.netns, key.egress);
    // Whose packet it is: the bound device's, else its source address's.
    let home = if key.bound.is_some() {
        key.bound
    } else {
        source_owner
    };
    let above = skb.passed_above(netns);
    skb.mark_passed(netns);
    layer.carried = u32::from(
        is_carried(skb, netns, egress, above, home)
            || is_shaped(skb, netns, egress, active, layer)
            || tunnel::is_counted(skb, layer),
    );
    0
}

/// Whether an IFB shapes what leaves by another interface, where it was counted before.
#[inline(always)]
fn is_shaped(
    skb: Skb,
    netns: NetNsCookie,
    egress: IfIndex,
    active: &Active,
    layer: &mut Layer,
) -> bool {
    if policy::about(netns, active.slot, egress) & flags::GIVES_BACK == 0 {
        return false;
    }
    // Through a map: the verifier allows no arithmetic on the context.
    layer.skb = skb.address();
    !devices::is_from_ingress(reread(&layer.skb))
}

#[inline(always)]
fn is_carried(
    skb: Skb,
    netns: NetNsCookie,
    egress: IfIndex,
    above: IfIndex,
    home: IfIndex,
) -> bool {
    if above.is_some() {
        // A copy has the mark as well, and no socket (`skb_clone`): it is the same packet only on a lower device.
        return !skb.sock().is_null() || lower_devices::is_lower_of(netns, egress, above);
    }
    if home.is_some() && lower_devices::is_unmarked_lower_of(netns, egress, home) {
        return true;
    }
    let arrived = skb.arrived();
    // What arrived by a bridge's port, out of the host's own leg, was counted there, and leaves by the bridge's other ports.
    if arrived.is_some() && lower_devices::is_unmarked_lower_of(netns, egress, arrived) {
        return true;
    }
    let bridge = bridges::of(netns, egress);
    if !bridge.is_some() {
        return false;
    }
    // What came in by another port was switched, and not sent by the bridge itself. What the bridge's host forwards came
    // in by the bridge or by an interface that is none of its ports (`br_pass_frame_up`).
    !arrived.is_some() || !lower_devices::is_lower_of(netns, arrived, bridge)
}
