//! A snapshot of very many findings, for tests: as the collector makes it of its ledger and its counters, without a kernel.

use std::{sync::Arc, time::Duration};

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::{CellKey, Count},
    verdict::{CellVerdict, Kind},
};

use super::{by_kind, most_severe};
use crate::{
    collector::{
        ledger::Ledger,
        moment::Moment,
        series::{Growing, Labels},
    },
    findings::{
        finding::{Finding, FindingId, Place, Rule},
        ready::Attach,
    },
    hub::{
        Snapshot,
        snapshot::{Interface, WORST},
    },
};

/// How many namespaces, interfaces and rules there are.
const NAMESPACES: u64 = 200;
const INTERFACES: u64 = 1_000;
const RULES: u64 = 300;

/// What makes one of so many findings, each of another interface, kind or rule than those before it, as far as there are some; and of as
/// many cells, of a packet each.
pub(crate) fn of_findings(number: u64) -> impl Fn() -> Snapshot {
    let now = Moment::now();
    let mut ledger: Ledger<u64> = Ledger::new(Duration::from_secs(300), 0);
    let mut growing = Growing::default();
    growing.begin([], []);
    for id in 0..number {
        if let Some(finding) = ledger.sighted(id, finding(id), now, now.monotonic) {
            growing.opened(&finding);
        }
    }
    let cells: Vec<_> = (0..number)
        .map(|id| {
            let key = CellKey {
                netns: NetNsCookie(id),
                egress: IfIndex(u32::try_from(id).expect("a small number")),
                kind: kind(id) as u8,
                ..CellKey::default()
            };
            let (packets, bytes) = (1, 60);
            (key, Count { packets, bytes })
        })
        .collect();
    growing.grown(&cells, |key| Labels {
        netns: netns(key.netns.0),
        zone: format!("zone{}", key.netns.0 % 7),
        bound_device: String::new(),
        egress_interface: interface(key.netns.0),
        verdict: CellVerdict::from_number(key.kind),
        carried: false,
        dropped: key.netns.0.is_multiple_of(3),
    });
    move || {
        // Not in the metrics, and a part of what a snapshot costs.
        let _ = most_severe(&ledger, WORST);
        Snapshot {
            series: growing.series().clone(),
            findings: by_kind(&ledger),
            interfaces: (0..INTERFACES)
                .map(|id| Interface {
                    netns: netns(id),
                    name: interface(id),
                    refused: id.is_multiple_of(5).then(|| "no".to_owned()),
                })
                .collect(),
            ..Snapshot::empty(1, Attach::Tcx)
        }
    }
}

fn kind(id: u64) -> Kind {
    Kind::ALL[(id % Kind::ALL.len() as u64) as usize]
}

fn netns(id: u64) -> String {
    format!("ns{}", id % NAMESPACES)
}

fn interface(id: u64) -> String {
    format!("veth{}", id % INTERFACES)
}

fn finding(id: u64) -> Finding {
    let place = Place {
        netns: netns(id).into(),
        interface: Some(interface(id).into()),
        rule: Some(Rule {
            name: Some(format!("rule{}", id % RULES).into()),
            ..Rule::default()
        }),
        ..Place::default()
    };
    Finding {
        packets: 1,
        bytes: 60,
        ..Finding::new(
            FindingId(id),
            kind(id),
            Arc::new(place),
            std::time::SystemTime::UNIX_EPOCH,
        )
    }
}
