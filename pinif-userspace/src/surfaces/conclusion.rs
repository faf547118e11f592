//! The end of an audit in a sentence or two, which the sinks for people share. Safe to show.

use std::collections::BTreeMap;

use pinif_ebpf::loss::Loss;
use pinif_ebpf::verdict::{CellVerdict, Direction, Kind, Severity};

use super::shown::Row;
use crate::findings::summary::{Cell, Summary};
use crate::text::words::{counted, grouped};

/// The audit in some sentences: `1 leak. 1,040 of 12,345 packets left where they must not: telemetryd (pid 4242), bound to fab0, left
/// via eth1.`
pub fn conclusion(rows: &[Row], summary: &Summary) -> String {
    let wrong = Wrong::of(rows, summary);
    let mut text = match (rows.is_empty(), wrong == Wrong::default()) {
        (true, true) if summary.dropped == 0 => contained(summary.packets),
        (true, _) => wrong.text(rows, summary.packets),
        (false, _) => {
            format!(
                "{}. {}",
                severities(rows),
                wrong.text(rows, summary.packets)
            )
        }
    };
    let kept_out = summary.matrix.iter().filter(|cell| cell.has_arrived());
    let kept_out = kept_out.fold(0u64, |sum, cell| sum.saturating_add(cell.packets));
    let kept_in = summary.dropped.saturating_sub(kept_out);
    text.push_str(&kept(rows, kept_in, Direction::Egress, "from leaving"));
    text.push_str(&kept(rows, kept_out, Direction::Ingress, "out"));
    let allowed = summary.matrix.iter();
    let allowed = allowed
        .filter(|cell| cell.verdict == CellVerdict::Allowed && !cell.carried)
        .fold(0u64, |sum, cell| sum.saturating_add(cell.packets));
    if allowed > 0 {
        let packets = counted(allowed, "packet");
        text.push_str(&format!(" A rule excepted {packets}."));
    }
    if incomplete(summary) {
        text.push_str(" But not all packets could be counted.");
    }
    text
}

/// How many packets were dropped in a direction, in a sentence; nothing, where none was.
fn kept(rows: &[Row], packets: u64, direction: Direction, from: &str) -> String {
    let packets = match packets {
        0 => return String::new(),
        1 => "1 packet was".to_owned(),
        packets => format!("{} packets were", grouped(packets)),
    };
    let what = worst(rows, |row| {
        row.dropped && row.kind.row().direction == direction
    });
    format!(" {packets} kept {from}{what}.")
}

/// What the largest of some findings is, for the end of a sentence, and how many more there are; nothing, if there is none.
fn worst(rows: &[Row], is_one: impl Fn(&Row) -> bool) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| is_one(row)).collect();
    // Of equal ones, the first that was found.
    let largest = rows.iter().rev().max_by_key(|row| row.packets);
    let Some(largest) = largest else {
        return String::new();
    };
    match rows.len() - 1 {
        0 => format!(": {}", largest.outcome),
        more => format!(
            ": {}, and {}",
            largest.outcome,
            counted(more as u64, "other finding")
        ),
    }
}

/// Whether what was lost makes the counts uncertain.
pub fn incomplete(summary: &Summary) -> bool {
    let lost = |name: &str| {
        summary
            .uncounted
            .get(name)
            .is_some_and(|number| *number > 0)
    };
    Loss::ALL
        .into_iter()
        .any(|loss| loss.loses_counts() && lost(loss.name()))
}

fn contained(packets: u64) -> String {
    match packets {
        0 => "No packet left via the audited interfaces.".to_owned(),
        1 => "The one packet that left did so where it was meant to.".to_owned(),
        _ => format!(
            "Every one of {} packets left where it was meant to.",
            grouped(packets)
        ),
    }
}

fn severities(rows: &[Row]) -> String {
    let names = [
        (Severity::Leak, "leak"),
        (Severity::Risk, "risk"),
        (Severity::Note, "note"),
    ];
    let counts = names.map(|(severity, name)| {
        (
            rows.iter()
                .filter(|row| row.severity == severity && !row.is_accepted())
                .count() as u64,
            name,
        )
    });
    let accepted = rows.iter().filter(|row| row.is_accepted()).count();
    let accepted = (accepted > 0).then(|| format!("{} accepted", grouped(accepted as u64)));
    let words = counts
        .into_iter()
        .filter(|(number, name)| *number > 0 || *name == "leak")
        .map(|(number, name)| counted(number, name));
    words.chain(accepted).collect::<Vec<_>>().join(", ")
}

/// How many packets went wrong, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wrong {
    left: u64,
    risked: u64,
    arrived: u64,
    untaken: u64,
}

impl Wrong {
    /// A packet is in one finding and one cell at most, so that sums are exact. What is in the matrix alone, because the
    /// table of findings was full, is as grave as its kind usually is. One that passed several interfaces on top of each
    /// other is in a finding of each, and counts once. What was dropped did nothing wrong.
    fn of(rows: &[Row], summary: &Summary) -> Self {
        let mut wrong = Self::default();
        for kind in Kind::ALL {
            let found = |severity| {
                let rows = rows.iter().filter(|row| !row.dropped);
                rows.fold(0u64, |sum, row| {
                    sum.saturating_add(row.packets_of(kind, severity))
                })
            };
            let (mut leaks, mut risks, notes) = (
                found(Severity::Leak),
                found(Severity::Risk),
                found(Severity::Note),
            );
            let cells = summary
                .matrix
                .iter()
                .filter(|cell| cell.verdict == CellVerdict::Found(kind) && !cell.dropped);
            let all = cells.fold(0u64, |sum, cell| sum.saturating_add(cell.packets));
            let unfound = all.saturating_sub(leaks.saturating_add(risks).saturating_add(notes));
            match kind.row().severity {
                Severity::Leak => leaks = leaks.saturating_add(unfound),
                Severity::Risk => risks = risks.saturating_add(unfound),
                Severity::Note => {}
            }
            let again = all.saturating_sub(once(kind, &summary.matrix));
            let once = leaks.saturating_add(risks).saturating_sub(again);
            leaks = leaks.min(once);
            risks = risks.min(once - leaks);
            match kind.row().direction {
                Direction::Unseen => {}
                Direction::Ingress => {
                    wrong.arrived = wrong.arrived.saturating_add(leaks);
                    wrong.untaken = wrong.untaken.saturating_add(risks);
                }
                Direction::Egress => {
                    wrong.left = wrong.left.saturating_add(leaks);
                    wrong.risked = wrong.risked.saturating_add(risks);
                }
            }
        }
        wrong
    }

    fn text(self, rows: &[Row], all: u64) -> String {
        let of = format!("of {}", counted(all, "packet"));
        let worst_of = |severity, direction| {
            worst(rows, |row: &Row| {
                let its = (row.severity, row.kind.row().direction);
                !row.dropped && row.packets > 0 && its == (severity, direction)
            })
        };
        let leaks = worst_of(Severity::Leak, Direction::Egress);
        let risks = worst_of(Severity::Risk, Direction::Egress);
        let left = match (self.left, self.risked) {
            (0, 0) if self.arrived > 0 || self.untaken > 0 => None,
            (0, 0) => Some("No packet that was seen left where it must not.".to_owned()),
            (0, _) => None,
            (1, _) => Some(format!("1 {of} left where it must not{leaks}.")),
            (left, _) => {
                let left = grouped(left);
                Some(format!("{left} {of} left where they must not{leaks}."))
            }
        };
        let risked = match self.risked {
            0 => None,
            risked => Some(format!("{} {of} at risk{risks}.", grouped(risked))),
        };
        let arrived = match self.arrived {
            0 => None,
            1 => Some("1 packet arrived where it must not".to_owned()),
            arrived => Some(format!(
                "{} packets arrived where they must not",
                grouped(arrived)
            )),
        };
        let arrived = arrived.map(|text| {
            let what = worst_of(Severity::Leak, Direction::Ingress);
            format!("{text}{what}.")
        });
        let untaken = match self.untaken {
            0 => None,
            1 => Some("1 packet arrived where it must not, and no socket received it".to_owned()),
            untaken => Some(format!(
                "{} packets arrived where they must not, and no socket received them",
                grouped(untaken)
            )),
        };
        let untaken = untaken.map(|text| {
            let what = worst_of(Severity::Risk, Direction::Ingress);
            format!("{text}{what}.")
        });
        let sentences = [left, risked, arrived, untaken].into_iter().flatten();
        sentences.collect::<Vec<_>>().join(" ")
    }
}

/// How many packets that left these cells have of a kind, each counted once: on the first interface that it had the kind on. What has
/// it only where it was carried to is of the senders that have none of it elsewhere.
fn once(kind: Kind, cells: &[Cell]) -> u64 {
    let mut by_sender: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    let cells = cells.iter().filter(|cell| !cell.dropped);
    for cell in cells.filter(|cell| cell.verdict == CellVerdict::Found(kind)) {
        let sender = (&cell.netns, &cell.bound_device, cell.origin);
        let (first, carried) = by_sender.entry(sender).or_default();
        let sum = if cell.carried { carried } else { first };
        *sum = sum.saturating_add(cell.packets);
    }
    let once = by_sender.into_values();
    once.map(|(first, carried)| if first > 0 { first } else { carried })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::finding::SentBy;

    fn cell(egress: &str, packets: u64, carried: bool) -> Cell {
        Cell {
            netns: "card".to_owned(),
            bound_device: None,
            egress_interface: egress.to_owned(),
            packets,
            bytes: packets * 100,
            verdict: CellVerdict::Found(Kind::PolicyEscape),
            origin: SentBy::Socket,
            carried,
            dropped: false,
        }
    }

    #[test]
    fn a_packet_that_is_wrong_on_two_layers_is_one() {
        let kind = Kind::PolicyEscape;
        let both = [cell("eth1", 7, true), cell("eth1.5", 7, false)];
        assert_eq!(once(kind, &both), 7);
        assert_eq!(once(kind, &[cell("eth1", 7, true)]), 7, "right above");
        let apart = [cell("eth1", 7, false), cell("eth2", 5, false)];
        assert_eq!(once(kind, &apart), 12);
        assert_eq!(once(Kind::Unpinned, &both), 0);
    }
}
