//! The matrix, pinif's picture: a row for each bound device, a column for each egress interface, packets in the cells.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use pinif_ebpf::verdict::{CellVerdict, Kind, Severity};

use super::finding::SentBy;
use super::summary::{Cell, GradedCell};
use crate::text::natural::natural;

/// The matrix of one network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The namespace.
    pub netns: String,
    /// The egress interfaces, in their natural order (`eth2` before `eth10`).
    pub columns: Vec<String>,
    /// The senders: bound devices in the same order, so that what is contained lies on the diagonal; then the unpinned
    /// sockets, the kernel, what no socket sent, and what was dropped where it arrived.
    pub rows: Vec<Row>,
}

/// What one sender sent, by each column's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who sent it.
    pub sender: Sender,
    /// The sums by their columns' places; none where nothing was sent. Of a thousand interfaces most have nothing for each other.
    pub sums: BTreeMap<usize, Sum>,
}

impl Row {
    /// How grave the gravest of it is.
    fn gravity(&self) -> Option<Option<Severity>> {
        self.sums.values().filter_map(Sum::gravity).max()
    }
}

/// Who sends, as far as the matrix distinguishes senders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Sockets bound to this device.
    Bound(String),
    /// Processes' sockets, bound to none.
    Unpinned,
    /// The kernel itself.
    Kernel,
    /// No socket: forwarded traffic, mostly.
    NoSocket,
    /// Others: what was dropped where it arrived.
    Arriving,
}

impl Sender {
    /// The row's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Bound(device) => device,
            Self::Unpinned => "unpinned",
            Self::Kernel => "kernel",
            Self::NoSocket => "no socket",
            Self::Arriving => "arriving",
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
            Self::Arriving => 4,
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
    /// Packets that were dropped, and did not leave, or did not come in.
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

/// A cell, and how grave it is.
type Graded<'a> = (&'a Cell, Option<Severity>);

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
        self.rows.iter().any(|row| row.gravity().is_some())
    }

    /// The same with the rows and columns first that have something of a finding, the gravest before others.
    pub fn gravest_first(&self) -> Self {
        let mut of_columns = vec![None; self.columns.len()];
        for (column, sum) in self.rows.iter().flat_map(|row| &row.sums) {
            of_columns[*column] = of_columns[*column].max(sum.gravity());
        }
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|column| Reverse(of_columns[*column]));
        let mut places = vec![0; order.len()];
        for (place, column) in order.iter().enumerate() {
            places[*column] = place;
        }
        let rows = self.rows.iter().map(|row| {
            let sums = row.sums.iter();
            Row {
                sender: row.sender.clone(),
                sums: sums.map(|(column, sum)| (places[*column], *sum)).collect(),
            }
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by_key(|row| Reverse(row.gravity()));
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
                sums: BTreeMap::new(),
            })
            .collect();
        for &(cell, severity) in cells {
            let row = rows.binary_search_by(|row| row.sender.cmp(&sender(cell)));
            let column = columns.binary_search_by(|column| natural(column, &cell.egress_interface));
            if let (Ok(row), Ok(column)) = (row, column) {
                let sum = rows[row].sums.entry(column).or_default();
                sum.add(cell, severity);
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
    if cell.has_arrived() {
        return Sender::Arriving;
    }
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
mod tests;
