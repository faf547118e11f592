//! The counters of metrics are filled: from the kernel's, by the names and zones of now.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use pinif_ebpf::{
    policy::ZoneSet,
    sighting::{CellKey, Count, FindingKey},
    verdict::{CellVerdict, Kind, Severity},
};

use super::{
    audit::Audit, deliveries::is_undelivered, describe::rule_of, names::Names, series::Labels,
};
use crate::{
    hub::series::{Fill, Opened},
    kernel::{persist::ArchivedFinding, publish::Publisher},
    policy::Policy,
};

impl Audit {
    /// Takes the cells as they are now, and what may come is there from then on.
    pub(super) fn count(&mut self, cells: &[(CellKey, Count)]) {
        let policy = self.policies.values().next_back();
        let labels = By {
            names: &self.names,
            publisher: &self.publisher,
            policy,
        };
        if !self.growing.is_asked_for() {
            let archived = self.totals.matrix(&[], &self.names).into_iter();
            let archived = archived.map(|cell| {
                let count = Count {
                    packets: cell.packets,
                    bytes: cell.bytes,
                };
                let labels = Labels {
                    zone: labels.zone_named(&cell.egress_interface),
                    netns: cell.netns,
                    bound_device: cell.bound_device.unwrap_or_default(),
                    egress_interface: cell.egress_interface,
                    verdict: cell.verdict,
                    carried: cell.carried,
                    dropped: cell.dropped,
                };
                (labels, count)
            });
            self.growing.begin(archived, self.totals.archived());
        }
        self.growing.grown(cells, |key| labels.of(key));
        if self.enforcement.is_asked() {
            let namespaces = self.namespaces.keys();
            let names: Vec<_> = namespaces
                .map(|&netns| self.names.namespace(netns))
                .collect();
            self.growing.may_drop(names.iter().map(String::as_str));
        }
        let rules = policy.iter().flat_map(|policy| &policy.rules);
        self.growing.may_break(rules.map(|rule| &*rule.name));
    }

    /// How full the tables are, with so many cells.
    pub(super) fn fills(&self, cells: usize) -> Vec<Fill> {
        let kernel = self.counters.fills(cells as u64, self.findings);
        kernel.into_iter().chain(self.publisher.fills()).collect()
    }

    /// Takes the findings of previous instances, which have counted them: what they are counted as goes on from there.
    ///
    /// # Errors
    ///
    /// When the findings cannot be read.
    pub(super) fn count_previous(&mut self) -> Result<()> {
        let Some(persist) = self.persist.as_ref().filter(|persist| persist.takes_over()) else {
            return Ok(());
        };
        for ArchivedFinding {
            key, predecessors, ..
        } in persist.archived_findings()
        {
            if let Some(opened) = opened(&self.policies, &key) {
                self.growing
                    .was_opened(Names::id(&key, predecessors), opened);
            }
        }
        let hears = self.hooks.hears();
        let mut batches = self.counters.findings()?;
        while let Some(batch) = batches
            .next()
            .context("the findings cannot be read from their map")?
        {
            for (key, value) in batch {
                if hears && is_undelivered(&key, &value) {
                    // It was given to no socket, and is no finding.
                    continue;
                }
                if let Some(opened) = opened(&self.policies, &key) {
                    self.growing.was_opened(self.names.finding_id(&key), opened);
                }
            }
        }
        Ok(())
    }
}

/// What labels are made of.
struct By<'a> {
    names: &'a Names,
    publisher: &'a Publisher,
    policy: Option<&'a Policy>,
}

impl By<'_> {
    fn of(&self, key: &CellKey) -> Labels {
        let interface = |index| self.names.interface(key.netns, index);
        let egress_interface = interface(key.egress);
        let zones = self.publisher.zones(key.netns, key.egress);
        Labels {
            netns: self.names.namespace(key.netns),
            zone: match zones {
                Some(zones) => self.zone(zones),
                // It is gone.
                None => self.zone_named(&egress_interface),
            },
            bound_device: if key.bound.is_some() {
                interface(key.bound)
            } else {
                String::new()
            },
            egress_interface,
            verdict: CellVerdict::from_number(key.kind),
            carried: key.carried != 0,
            dropped: key.dropped != 0,
        }
    }

    /// The zones that name an interface.
    fn zone_named(&self, interface: &str) -> String {
        let zones = self.policy.map(|policy| policy.zones_of(interface));
        self.zone(zones.unwrap_or_default())
    }

    fn zone(&self, zones: ZoneSet) -> String {
        let all = self.policy.iter().flat_map(|policy| &policy.zones);
        let names = all
            .enumerate()
            .filter(|(number, _)| zones.contains(*number));
        let names: Vec<_> = names.map(|(_, zone)| &*zone.name).collect();
        names.join(",")
    }
}

/// What a finding is counted as; nothing for one of another version's.
fn opened(policies: &BTreeMap<u32, Policy>, key: &FindingKey) -> Option<Opened> {
    let kind = Kind::from_number(key.kind)?;
    let rule = rule_of(policies, key).filter(|_| kind.row().is_of_rule);
    Some(Opened {
        kind,
        severity: Severity::from_number(key.severity)?,
        rule: rule.map_or_else(String::new, |(policy, number)| {
            policy.rules[number].name.clone()
        }),
    })
}
