//! The summary, from the kernel's counters.

use std::{collections::BTreeMap, time::Duration};

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    loss::Loss,
    sighting::{CellKey, Count, Origin},
    verdict::Kind,
};

use crate::findings::summary::{Cell, Summary};

/// A cell in the reader's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    netns: String,
    bound_device: Option<String>,
    egress_interface: String,
    verdict: Option<Kind>,
    origin: Origin,
    carried: bool,
    dropped: bool,
}

impl Place {
    /// The cell of a key, by the names that namespaces and interfaces have now.
    pub(super) fn of(
        key: &CellKey,
        netns: &dyn Fn(NetNsCookie) -> String,
        interface: &dyn Fn(NetNsCookie, IfIndex) -> String,
    ) -> Self {
        Self {
            netns: netns(key.netns),
            bound_device: key.bound.is_some().then(|| interface(key.netns, key.bound)),
            egress_interface: interface(key.netns, key.egress),
            verdict: Kind::from_number(key.kind),
            origin: Origin::from_number(key.origin),
            carried: key.carried != 0,
            dropped: key.dropped != 0,
        }
    }
}

/// What was counted for interfaces whose indexes others have by now. The kernel's counters go on from there.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    counted: BTreeMap<CellKey, Count>,
    cells: BTreeMap<Place, Count>,
}

impl Past {
    /// Keeps what the kernel has counted so far, under the names of those that it was counted for.
    pub(super) fn keep(&mut self, cells: &[(CellKey, Count)], place: impl Fn(&CellKey) -> Place) {
        for (key, count) in cells {
            let before = self.counted.insert(*key, *count).unwrap_or_default();
            add(&mut self.cells, place(key), since(before, *count));
        }
    }

    /// All that was counted, in cells. Counters of interfaces that have had one name are one cell, whatever their indexes
    /// were.
    pub(super) fn and(
        mut self,
        cells: &[(CellKey, Count)],
        place: impl Fn(&CellKey) -> Place,
    ) -> Vec<Cell> {
        self.keep(cells, place);
        let cells = self.cells.into_iter();
        cells
            .map(|(place, count)| Cell {
                netns: place.netns,
                bound_device: place.bound_device,
                egress_interface: place.egress_interface,
                packets: count.packets,
                bytes: count.bytes,
                verdict: place.verdict,
                origin: place.origin.into(),
                carried: place.carried,
                dropped: place.dropped,
            })
            .collect()
    }
}

fn add(cells: &mut BTreeMap<Place, Count>, place: Place, count: Count) {
    if count != Count::default() {
        *cells.entry(place).or_default() += count;
    }
}

fn since(before: Count, now: Count) -> Count {
    Count {
        packets: now.packets.saturating_sub(before.packets),
        bytes: now.bytes.saturating_sub(before.bytes),
    }
}

/// Sums up. A packet that passed several interfaces on top of each other is in a cell of each, and once in the totals; one
/// that was dropped is in those of what was dropped alone.
pub(super) fn summary(
    duration: Duration,
    matrix: Vec<Cell>,
    findings: u64,
    losses: &[(Loss, u64)],
) -> Summary {
    let once = matrix.iter().filter(|cell| !cell.carried && !cell.dropped);
    let dropped = matrix.iter().filter(|cell| cell.dropped);
    Summary {
        duration_s: duration.as_secs_f64(),
        packets: once.clone().map(|cell| cell.packets).sum(),
        bytes: once.map(|cell| cell.bytes).sum(),
        dropped: dropped.map(|cell| cell.packets).sum(),
        matrix,
        findings,
        uncounted: losses
            .iter()
            .map(|(loss, lost)| (loss.name().to_owned(), *lost))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETNS: NetNsCookie = NetNsCookie(1);

    fn key(egress: u32) -> CellKey {
        CellKey {
            netns: NETNS,
            egress: IfIndex(egress),
            ..CellKey::default()
        }
    }

    fn count(packets: u64) -> Count {
        Count {
            packets,
            bytes: packets * 100,
        }
    }

    fn named(name: &'static str) -> impl Fn(&CellKey) -> Place {
        move |key| Place::of(key, &|_| "card".to_owned(), &|_, _| name.to_owned())
    }

    fn packets(cells: &[Cell]) -> Vec<(&str, u64, u64)> {
        cells
            .iter()
            .map(|cell| (&*cell.egress_interface, cell.packets, cell.bytes))
            .collect()
    }

    #[test]
    fn each_interface_that_had_an_index_has_its_own_counts() {
        let mut past = Past::default();
        past.keep(&[(key(3), count(10))], named("eth2"));
        past.keep(&[(key(3), count(15))], named("fab1"));
        let cells = past.and(&[(key(3), count(18))], named("eth2"));
        assert_eq!(packets(&cells), [("eth2", 13, 1300), ("fab1", 5, 500)]);
    }

    #[test]
    fn an_interface_that_sent_nothing_has_no_cell() {
        let mut past = Past::default();
        past.keep(&[(key(3), count(10))], named("eth2"));
        let cells = past.and(&[(key(3), count(10))], named("fab1"));
        assert_eq!(packets(&cells), [("eth2", 10, 1000)]);
    }

    #[test]
    fn indexes_of_one_name_are_one_cell() {
        let cells = Past::default().and(&[(key(3), count(1)), (key(4), count(2))], named("eth2"));
        assert_eq!(packets(&cells), [("eth2", 3, 300)]);
        let summary = summary(Duration::ZERO, cells, 0, &[(Loss::Unparsed, 1)]);
        assert_eq!((summary.packets, summary.bytes), (3, 300));
        assert_eq!(summary.uncounted.get("unparsed"), Some(&1));
    }

    #[test]
    fn what_was_dropped_did_not_leave() {
        let dropped = CellKey {
            dropped: 1,
            ..key(3)
        };
        let cells = Past::default().and(&[(key(3), count(5)), (dropped, count(7))], named("eth2"));
        assert_eq!(packets(&cells), [("eth2", 5, 500), ("eth2", 7, 700)]);
        let summary = summary(Duration::ZERO, cells, 0, &[]);
        assert_eq!(
            (summary.packets, summary.bytes, summary.dropped),
            (5, 500, 7)
        );
    }

    #[test]
    fn what_was_counted_above_is_no_part_of_the_totals() {
        let carried = CellKey {
            carried: 1,
            ..key(4)
        };
        let cells = Past::default().and(&[(key(3), count(5)), (carried, count(5))], named("eth2"));
        assert_eq!(packets(&cells), [("eth2", 5, 500), ("eth2", 5, 500)]);
        let summary = summary(Duration::ZERO, cells, 0, &[]);
        assert_eq!((summary.packets, summary.bytes), (5, 500));
    }
}
