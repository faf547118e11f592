//! The matrix and the summary, from the kernel's counters and from those that are archived: what was counted for interfaces
//! whose indexes others have had since.

use std::{collections::BTreeMap, time::Duration};

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    loss::Loss,
    sighting::{CellKey, Count, Origin},
    verdict::CellVerdict,
};

use super::names::Names;
use crate::{
    findings::summary::{self, Cell, Summary},
    kernel::persist::ArchivedCell,
};

/// What may happen to counters.
#[derive(Debug)]
pub(super) enum Input {
    /// A previous instance has archived a counter.
    Archived(ArchivedCell),
    /// The index of an interface that is gone is about to be another's.
    Reused {
        netns: NetNsCookie,
        index: IfIndex,
        /// The counters of all cells, as they are now.
        cells: Vec<(CellKey, Count)>,
    },
}

/// A cell in the reader's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    netns: String,
    bound_device: Option<String>,
    egress_interface: String,
    verdict: CellVerdict,
    origin: Origin,
    carried: bool,
    dropped: bool,
}

impl Place {
    fn of(key: &CellKey, netns: String, interface: impl Fn(IfIndex) -> String) -> Self {
        Self {
            netns,
            bound_device: key.bound.is_some().then(|| interface(key.bound)),
            egress_interface: interface(key.egress),
            verdict: CellVerdict::from_number(key.kind),
            origin: Origin::from_number(key.origin),
            carried: key.carried != 0,
            dropped: key.dropped != 0,
        }
    }
}

/// What was counted for interfaces whose indexes others have by now. The kernel's counters go on from there.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// What of each counter is archived.
    archived: BTreeMap<CellKey, Count>,
    /// The same, under the names that were the interfaces' then.
    cells: BTreeMap<Place, Count>,
}

impl Totals {
    /// Takes what has happened, with the names of now. The answer is what the next instance is to know.
    pub(super) fn on(&mut self, input: Input, names: &Names) -> Vec<ArchivedCell> {
        match input {
            Input::Archived(ArchivedCell {
                key,
                total,
                names: then,
            }) => {
                let name = |index| then.of(index, key.egress, key.bound).unwrap_or_default();
                let place = Place::of(&key, names.namespace(key.netns), |index| {
                    name(index).to_owned()
                });
                self.archive(key, total, place);
                Vec::new()
            }
            Input::Reused {
                netns,
                index,
                mut cells,
            } => {
                let is_at = |key: &CellKey| {
                    key.netns == netns && (key.egress == index || key.bound == index)
                };
                cells.retain(|(key, _)| is_at(key));
                self.archive_all(&cells, names);
                let archived = cells.into_iter().map(|(key, total)| ArchivedCell {
                    key,
                    total,
                    names: names.of_counter(netns, key.egress, key.bound),
                });
                archived.collect()
            }
        }
    }

    fn archive(&mut self, key: CellKey, total: Count, place: Place) {
        let before = self.archived.insert(key, total).unwrap_or_default();
        let count = since(before, total);
        if count != Count::default() {
            *self.cells.entry(place).or_default() += count;
        }
    }

    fn archive_all(&mut self, cells: &[(CellKey, Count)], names: &Names) {
        for (key, total) in cells {
            let place = Place::of(key, names.namespace(key.netns), |index| {
                names.interface(key.netns, index)
            });
            self.archive(*key, *total, place);
        }
    }

    /// How much of each counter is archived.
    pub(super) fn archived(&self) -> impl Iterator<Item = (CellKey, Count)> {
        self.archived.iter().map(|(key, count)| (*key, *count))
    }

    /// All that was counted, in cells; `cells` are the counters as they are now. Counters of interfaces that have had one name
    /// are one cell, whatever their indexes were.
    pub(super) fn matrix(&self, cells: &[(CellKey, Count)], names: &Names) -> Vec<Cell> {
        let mut all = self.clone();
        all.archive_all(cells, names);
        let cells = all.cells.into_iter();
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
    let summed = summary::Totals::of(&matrix);
    Summary {
        duration_s: duration.as_secs_f64(),
        packets: summed.packets,
        bytes: summed.bytes,
        dropped: summed.dropped,
        matrix,
        findings,
        accepted: 0,
        policy: None,
        uncounted: losses
            .iter()
            .map(|(loss, lost)| (loss.name().to_owned(), *lost))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::names, *};

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

    /// Names that some indexes have.
    fn named(interfaces: &[(u32, &str)]) -> Names {
        let mut names = Names::default();
        names.on(NETNS, names::Input::Namespace("card"));
        for (index, name) in interfaces {
            names.on(NETNS, names::Input::Link(IfIndex(*index), name));
        }
        names
    }

    fn reused(index: u32, cells: &[(CellKey, Count)]) -> Input {
        Input::Reused {
            netns: NETNS,
            index: IfIndex(index),
            cells: cells.to_vec(),
        }
    }

    fn packets(cells: &[Cell]) -> Vec<(&str, u64, u64)> {
        cells
            .iter()
            .map(|cell| (&*cell.egress_interface, cell.packets, cell.bytes))
            .collect()
    }

    #[test]
    fn each_interface_that_had_an_index_has_its_own_counts() {
        let mut totals = Totals::default();
        let others = [(key(3), count(10)), (key(4), count(1))];
        let archived = totals.on(reused(3, &others), &named(&[(3, "eth2"), (4, "eth3")]));
        assert_eq!(archived.len(), 1, "the other interface is still there");
        assert_eq!((archived[0].key, archived[0].total), (key(3), count(10)));
        assert_eq!(archived[0].names.egress, "eth2");
        totals.on(reused(3, &[(key(3), count(15))]), &named(&[(3, "fab1")]));
        let cells = totals.matrix(&[(key(3), count(18))], &named(&[(3, "eth2")]));
        assert_eq!(packets(&cells), [("eth2", 13, 1300), ("fab1", 5, 500)]);
    }

    #[test]
    fn a_cell_is_archived_when_its_bound_device_is_gone_too() {
        let mut totals = Totals::default();
        let bound = CellKey {
            bound: IfIndex(5),
            ..key(3)
        };
        let cells = [(bound, count(10)), (key(3), count(1))];
        let archived = totals.on(reused(5, &cells), &named(&[(3, "eth2"), (5, "fab0")]));
        assert_eq!(archived.len(), 1);
        assert_eq!(archived[0].names.bound, "fab0");
        let cells = totals.matrix(&cells, &named(&[(3, "eth2"), (5, "fab9")]));
        let bound = |cell: &Cell| cell.bound_device.clone().unwrap_or_default();
        let bound: Vec<_> = cells.iter().map(bound).collect();
        assert_eq!(bound, ["", "fab0"], "nothing was counted for fab9");
    }

    #[test]
    fn what_a_previous_instance_has_archived_is_counted_once() {
        let mut first = Totals::default();
        let archived = first.on(reused(3, &[(key(3), count(10))]), &named(&[(3, "eth2")]));
        let mut next = Totals::default();
        for cell in archived {
            next.on(Input::Archived(cell), &named(&[(3, "fab1")]));
        }
        let cells = next.matrix(&[(key(3), count(15))], &named(&[(3, "fab1")]));
        assert_eq!(packets(&cells), [("eth2", 10, 1000), ("fab1", 5, 500)]);
        assert_eq!(cells[0].netns, "card");
    }

    #[test]
    fn an_interface_that_sent_nothing_has_no_cell() {
        let mut totals = Totals::default();
        totals.on(reused(3, &[(key(3), count(10))]), &named(&[(3, "eth2")]));
        let cells = totals.matrix(&[(key(3), count(10))], &named(&[(3, "fab1")]));
        assert_eq!(packets(&cells), [("eth2", 10, 1000)]);
    }

    #[test]
    fn indexes_of_one_name_are_one_cell() {
        let names = named(&[(3, "eth2"), (4, "eth2")]);
        let cells = Totals::default().matrix(&[(key(3), count(1)), (key(4), count(2))], &names);
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
        let names = named(&[(3, "eth2")]);
        let cells = Totals::default().matrix(&[(key(3), count(5)), (dropped, count(7))], &names);
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
        let names = named(&[(3, "eth2"), (4, "eth2")]);
        let cells = Totals::default().matrix(&[(key(3), count(5)), (carried, count(5))], &names);
        assert_eq!(packets(&cells), [("eth2", 5, 500), ("eth2", 5, 500)]);
        let summary = summary(Duration::ZERO, cells, 0, &[]);
        assert_eq!((summary.packets, summary.bytes), (5, 500));
    }
}
