//! What the programs counted.

use anyhow::{Result, ensure};
use pinif_ebpf::{
    key::IfIndex,
    loss::Loss,
    sighting::{CellKey, Count, FindingKey, FindingValue},
    steady::SteadyFlow,
    verdict::Kind,
};

use super::{
    host::Host,
    state::{Interface, record},
};

/// A cell of the matrix: bound device, egress interface, kind (none is contained), packets.
pub type Cell = (Option<Interface>, Interface, Option<Kind>, u64);

/// Checks that this is all that was counted, that all bytes were, and that nothing was lost.
///
/// # Errors
///
/// Where something else was.
pub fn expect(host: &Host, wanted: &[Cell]) -> Result<()> {
    let (mut counted, mut bytes) = (Vec::new(), 0);
    for (key, number) in host.machine.entries("CELLS")? {
        let key: CellKey = record(key)?;
        let count: Count = record(host.machine.get("COUNTS", number)?.unwrap_or_default())?;
        counted.push((key.bound, key.egress, key.kind, count.packets));
        bytes += count.bytes;
    }
    let mut wanted: Vec<_> = wanted
        .iter()
        .map(|&(bound, egress, kind, packets)| {
            let bound = bound.map_or(IfIndex::NONE, |interface| interface.index);
            (
                bound,
                egress.index,
                kind.map_or(0, |kind| kind as u8),
                packets,
            )
        })
        .collect();
    wanted.sort_unstable();
    counted.sort_unstable();
    ensure!(
        counted == wanted,
        "counted {counted:?} instead of {wanted:?}"
    );
    ensure!(bytes == host.sent, "counted {bytes} bytes of {}", host.sent);
    nothing_lost(host)
}

/// Checks that these are all findings: the kind of each, and its packets; that each was reported once, and nothing was lost.
///
/// # Errors
///
/// Where there are others.
pub fn expect_findings(host: &Host, wanted: &[(Kind, u64)]) -> Result<()> {
    let mut found = Vec::new();
    for (key, value) in host.machine.entries("FINDINGS")? {
        let (key, mut value): (FindingKey, FindingValue) = (record(key)?, record(value)?);
        let flow = host.machine.get("STEADY", &0_u32.to_ne_bytes())?;
        let flow: SteadyFlow = record(flow.unwrap_or_default())?;
        flow.add_to(&key, &mut value.state);
        found.push((key.kind, value.state.count.packets));
    }
    let wanted: Vec<(u8, u64)> = wanted
        .iter()
        .map(|&(kind, packets)| (kind as u8, packets))
        .collect();
    ensure!(found == wanted, "found {found:?} instead of {wanted:?}");
    let reported = host.machine.submitted("SIGHTINGS")?;
    ensure!(
        reported == found.len(),
        "{reported} reports of {} findings",
        found.len()
    );
    nothing_lost(host)
}

fn nothing_lost(host: &Host) -> Result<()> {
    let lost = lost(host)?;
    ensure!(lost.is_empty(), "lost: {lost:?}");
    Ok(())
}

/// What was lost, and how often.
///
/// # Errors
///
/// Where the programs have no such map.
pub fn lost(host: &Host) -> Result<Vec<(Loss, u64)>> {
    let mut lost = Vec::new();
    for loss in Loss::ALL {
        let number = host.machine.get("LOSSES", &(loss as u32).to_ne_bytes())?;
        let number: u64 = record(number.unwrap_or_default())?;
        if number != 0 {
            lost.push((loss, number));
        }
    }
    Ok(lost)
}
