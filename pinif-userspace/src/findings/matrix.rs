//! The matrix, pinif's picture: a row for each bound device, a column for each egress interface, packets in the cells.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use pinif_ebpf::verdict::{CellVerdict, Kind, Severity};

use super::finding::SentBy;
use super::summary::{Cell, GradedCell};
use crate::text::natural::natural;

/// A cell, and how grave it is.
type Graded<'a> = (&'a Cell, Option<Severity>);

/// The matrix of one network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The namespace.
    pub netns: String,
    /// The egress interfaces, in their natural order (`eth2` before `eth10`).
    pub columns: Vec<String>,
    /// The senders: bound devices in the same order, so that what is contained lies on the diagonal; then the unpinned
    /// sockets, the kernel, and what no socket sent.
    pub rows: Vec<Row>,
}

/// What one sender sent, by each column's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who sent it.
    pub sender: Sender,
    /// A sum for each column; `None` where nothing was sent.
    pub sums: Vec<Option<Sum>>,
}

/// Who sends, as far as the matrix distinguishes senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Sockets bound to this device.
    Bound(String),
    /// Processes' sockets, bound to none.
    Unpinned,
    /// The kernel itself.
    Kernel,
    /// No socket: forwarded traffic, mostly.
    NoSocket,
}

impl Sender {
    /// The row's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Bound(device) => device,
            Self::Unpinned => "unpinned",
            Self::Kernel => "kernel",
            Self::NoSocket => "no socket",
        }
    }
}

impl Ord for Sender {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |sender: &Self| match sender {
            Self::Bound(_) => 0,
            Self::Unpinned => 1,
            Self::Kernel => 2,
            Self::NoSocket => 3,
        };
        match (self, other) {
            (Self::Bound(one), Self::Bound(another)) => natural(one, another),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for Sender {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What one sender sent by one interface, over all verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// All packets that left.
    pub packets: u64,
    /// All bytes of these.
    pub bytes: u64,
    /// The gravest severity among them, and how many packets have it.
    pub gravest: Option<(Severity, u64)>,
    /// Packets that a rule allows.
    pub allowed: u64,
    /// Packets that were dropped, and did not leave.
    pub dropped: u64,
}

impl Sum {
    /// How grave the gravest of it is: what left is graver than what was dropped.
    fn gravity(&self) -> Option<Option<Severity>> {
        let left = self.gravest.map(|(severity, _)| severity);
        (left.is_some() || self.dropped > 0).then_some(left)
    }

    fn add(&mut self, cell: &Cell, severity: Option<Severity>) {
        if cell.dropped {
            self.dropped = self.dropped.saturating_add(cell.packets);
            return;
        }
        self.packets = self.packets.saturating_add(cell.packets);
        self.bytes = self.bytes.saturating_add(cell.bytes);
        if cell.verdict == CellVerdict::Allowed {
            self.allowed = self.allowed.saturating_add(cell.packets);
        }
        let Some(severity) = severity.filter(|_| cell.packets > 0) else {
            return;
        };
        self.gravest = match self.gravest {
            Some((gravest, packets)) if gravest == severity => {
                Some((gravest, packets.saturating_add(cell.packets)))
            }
            Some(graver) if graver.0 > severity => Some(graver),
            Some(_) | None => Some((severity, cell.packets)),
        };
    }
}

impl Matrix {
    /// The matrices of all namespaces that the cells are of, in the order of their names. `severity` says how grave a
    /// cell is that has this kind.
    pub fn of(cells: &[Cell], severity: impl Fn(&Cell, Kind) -> Severity) -> Vec<Self> {
        let graded = |cell: &Cell| cell.verdict.kind().map(|kind| severity(cell, kind));
        Self::of_all(cells.iter().map(|cell| (cell, graded(cell))))
    }

    /// The same of cells whose severities are known.
    pub fn of_graded(cells: &[GradedCell]) -> Vec<Self> {
        Self::of_all(cells.iter().map(|graded| (&graded.cell, graded.severity)))
    }

    fn of_all<'a>(cells: impl Iterator<Item = Graded<'a>>) -> Vec<Self> {
        let mut by_netns: BTreeMap<&str, Vec<Graded<'a>>> = BTreeMap::new();
        for (cell, severity) in cells {
            by_netns
                .entry(&cell.netns)
                .or_default()
                .push((cell, severity));
        }
        by_netns
            .into_iter()
            .map(|(netns, cells)| Self::of_one(netns, &cells))
            .collect()
    }

    /// Whether anything in it is of a finding.
    pub fn has_marks(&self) -> bool {
        let mut sums = self.rows.iter().flat_map(|row| &row.sums).flatten();
        sums.any(|sum| sum.gravity().is_some())
    }

    /// The same with the rows and columns first that have something of a finding, the gravest before others.
    pub fn gravest_first(&self) -> Self {
        let of_column = |column: usize| {
            let sums = self.rows.iter().filter_map(|row| row.sums[column].as_ref());
            sums.filter_map(Sum::gravity).max()
        };
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|column| Reverse(of_column(*column)));
        let mut rows: Vec<Row> = self
            .rows
            .iter()
            .map(|row| Row {
                sender: row.sender.clone(),
                sums: order.iter().map(|column| row.sums[*column]).collect(),
            })
            .collect();
        rows.sort_by_key(|row| Reverse(row.sums.iter().flatten().filter_map(Sum::gravity).max()));
        Self {
            netns: self.netns.clone(),
            columns: order
                .iter()
                .map(|column| self.columns[*column].clone())
                .collect(),
            rows,
        }
    }

    fn of_one(netns: &str, cells: &[Graded<'_>]) -> Self {
        let columns = in_order(
            cells.iter().map(|(cell, _)| cell.egress_interface.clone()),
            |one, another| natural(one, another),
        );
        let senders = in_order(cells.iter().map(|(cell, _)| sender(cell)), Ord::cmp);
        let mut rows: Vec<Row> = senders
            .into_iter()
            .map(|sender| Row {
                sender,
                sums: vec![None; columns.len()],
            })
            .collect();
        for &(cell, severity) in cells {
            let row = rows.binary_search_by(|row| row.sender.cmp(&sender(cell)));
            let column = columns.binary_search_by(|column| natural(column, &cell.egress_interface));
            if let (Ok(row), Ok(column)) = (row, column) {
                rows[row].sums[column]
                    .get_or_insert_default()
                    .add(cell, severity);
            }
        }
        Self {
            netns: netns.to_owned(),
            columns,
            rows,
        }
    }
}

fn sender(cell: &Cell) -> Sender {
    match (&cell.bound_device, cell.origin) {
        (Some(device), _) => Sender::Bound(device.clone()),
        (None, SentBy::Socket) => Sender::Unpinned,
        (None, SentBy::Kernel) => Sender::Kernel,
        (None, SentBy::None) => Sender::NoSocket,
    }
}

fn in_order<T: PartialEq>(
    all: impl Iterator<Item = T>,
    order: impl Fn(&T, &T) -> Ordering,
) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_by(&order);
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(bound: Option<&str>, egress: &str, packets: u64, verdict: Option<Kind>) -> Cell {
        Cell {
            netns: "card".to_owned(),
            bound_device: bound.map(str::to_owned),
            egress_interface: egress.to_owned(),
            packets,
            bytes: packets * 100,
            verdict: verdict.map_or(CellVerdict::Contained, CellVerdict::Found),
            origin: SentBy::Socket,
            carried: false,
            dropped: false,
        }
    }

    fn of(cells: &[Cell]) -> Vec<Matrix> {
        Matrix::of(cells, |_, kind| kind.row().severity)
    }

    #[test]
    fn the_diagonal_is_a_diagonal_and_verdicts_are_summed() {
        let leak = Some(Kind::DeviceEscape);
        let note = Some(Kind::CrossedBind);
        let cells = [
            cell(None, "eth10", 5, None),
            Cell {
                origin: SentBy::None,
                ..cell(None, "eth2", 7, None)
            },
            cell(Some("eth10"), "eth10", 1, None),
            cell(Some("eth2"), "eth10", 3, note),
            cell(Some("eth2"), "eth10", 2, leak),
            cell(Some("eth2"), "eth10", 10, None),
            cell(Some("eth2"), "eth10", 4, leak),
            cell(Some("eth2"), "eth2", 9, None),
        ];
        let sum = |packets, gravest| {
            Some(Sum {
                packets,
                bytes: packets * 100,
                gravest,
                allowed: 0,
                dropped: 0,
            })
        };
        let row = |sender, sums| Row { sender, sums };
        assert_eq!(
            of(&cells),
            [Matrix {
                netns: "card".to_owned(),
                columns: vec!["eth2".to_owned(), "eth10".to_owned()],
                rows: vec![
                    row(
                        Sender::Bound("eth2".to_owned()),
                        vec![sum(9, None), sum(19, Some((Severity::Leak, 6)))]
                    ),
                    row(Sender::Bound("eth10".to_owned()), vec![None, sum(1, None)]),
                    row(Sender::Unpinned, vec![None, sum(5, None)]),
                    row(Sender::NoSocket, vec![sum(7, None), None]),
                ],
            }]
        );
    }

    #[test]
    fn what_was_dropped_is_beside_what_left() {
        let leak = Some(Kind::DeviceEscape);
        let dropped = Cell {
            dropped: true,
            ..cell(Some("fab0"), "eth1", 7, leak)
        };
        let sums = |cells: &[Cell]| of(cells)[0].rows[0].sums.clone();
        let alone = Sum {
            dropped: 7,
            ..Sum::default()
        };
        assert_eq!(sums(std::slice::from_ref(&dropped)), [Some(alone)]);
        let both = Sum {
            packets: 2,
            bytes: 200,
            gravest: Some((Severity::Leak, 2)),
            allowed: 0,
            dropped: 7,
        };
        let left = cell(Some("fab0"), "eth1", 2, leak);
        assert_eq!(sums(&[dropped, left]), [Some(both)]);
    }

    #[test]
    fn what_a_rule_allows_is_counted_apart() {
        let allowed = Cell {
            verdict: CellVerdict::Allowed,
            ..cell(Some("fab0"), "eth1", 7, None)
        };
        let contained = cell(Some("fab0"), "eth1", 2, None);
        let sum = Sum {
            packets: 9,
            bytes: 900,
            allowed: 7,
            ..Sum::default()
        };
        assert_eq!(of(&[allowed, contained])[0].rows[0].sums, [Some(sum)]);
    }

    #[test]
    fn each_namespace_has_its_own() {
        let cells = [
            cell(None, "eth0", 1, None),
            Cell {
                netns: "b".to_owned(),
                ..cell(None, "eth0", 1, None)
            },
        ];
        let names: Vec<String> = of(&cells).into_iter().map(|matrix| matrix.netns).collect();
        assert_eq!(names, ["b", "card"]);
        assert_eq!(of(&[]), []);
    }

    #[test]
    fn a_device_named_like_a_row_is_another_row() {
        let cells = [
            cell(None, "eth0", 1, None),
            cell(Some("unpinned"), "eth0", 2, None),
        ];
        let senders: Vec<Sender> = of(&cells)[0]
            .rows
            .iter()
            .map(|row| row.sender.clone())
            .collect();
        assert_eq!(
            senders,
            [Sender::Bound("unpinned".to_owned()), Sender::Unpinned]
        );
    }
}
