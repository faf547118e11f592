//! Interfaces on top of each other: whether a packet has been counted before it came here.

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::FindingKey,
};

use crate::{
    kernel::packet::Skb,
    state::{bridges, lower_devices},
    tunnel::{self, Layer},
};

/// Writes whether the packet was counted on an interface above this one. Marks it for the one below.
#[inline(never)]
pub fn pass(skb: Skb, key: &FindingKey, source_owner: IfIndex, layer: &mut Layer) -> u32 {
    let (netns, egress) = (key.netns, key.egress);
    // Whose packet it is: the bound device's, else its source address's.
    let home = if key.bound.is_some() {
        key.bound
    } else {
        source_owner
    };
    let above = skb.passed_above(netns);
    skb.mark_passed(netns);
    layer.carried =
        u32::from(is_carried(skb, netns, egress, above, home) || tunnel::is_counted(skb, layer));
    0
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
    let bridge = bridges::of(netns, egress);
    if !bridge.is_some() {
        return false;
    }
    // What came in by another port was switched, and not sent by the bridge itself. What the bridge's host forwards came
    // in by the bridge or by an interface that is none of its ports (`br_pass_frame_up`).
    let arrived = skb.arrived();
    !arrived.is_some() || !lower_devices::is_lower_of(netns, arrived, bridge)
}
