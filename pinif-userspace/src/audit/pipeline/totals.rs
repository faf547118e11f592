//! The summary, from the kernel's counters.

use std::{collections::BTreeMap, time::Duration};

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    loss::Loss,
    sighting::{CellKey, Count, Origin},
    verdict::Kind,
};

use crate::audit::finding::{Cell, Summary};

/// Sums up. Counters of interfaces that have had one name are one cell, whatever their indexes were.
pub(super) fn summary(
    duration: Duration,
    counted: &[(CellKey, Count)],
    findings: u64,
    losses: &[(Loss, u64)],
    netns: &dyn Fn(NetNsCookie) -> String,
    interface: &dyn Fn(NetNsCookie, IfIndex) -> String,
) -> Summary {
    let mut cells: BTreeMap<_, Count> = BTreeMap::new();
    let mut total = Count::default();
    for (key, count) in counted {
        let place = (
            netns(key.netns),
            key.bound.is_some().then(|| interface(key.netns, key.bound)),
            interface(key.netns, key.egress),
            Kind::from_number(key.kind),
            Origin::from_number(key.origin),
        );
        *cells.entry(place).or_default() += *count;
        total += *count;
    }
    Summary {
        duration_s: duration.as_secs_f64(),
        packets: total.packets,
        bytes: total.bytes,
        matrix: cells
            .into_iter()
            .map(
                |((netns, bound_device, egress_interface, verdict, origin), count)| Cell {
                    netns,
                    bound_device,
                    egress_interface,
                    packets: count.packets,
                    bytes: count.bytes,
                    verdict,
                    origin: origin.into(),
                },
            )
            .collect(),
        findings,
        uncounted: losses
            .iter()
            .map(|(loss, lost)| (loss.name().to_owned(), *lost))
            .collect(),
    }
}
