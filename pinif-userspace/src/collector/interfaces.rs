//! Interfaces come, change their names and go: the programs and the counts follow.

use std::{collections::BTreeSet, time::Instant};

use anyhow::Result;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{
    attachments,
    audit::{Audit, Beginning, Namespace, When},
    foresight, gaps, integrity, names,
    netlink_events::NetlinkEvent,
    progress::{AT_ONCE, batches},
};
use crate::{
    collector::key::Key,
    findings::{
        explain::CauseKind,
        gaps::{Gap, GapKey, GapSource},
    },
    host::network::{Change, Network},
    hub::{Hub, Notice, notice::Work},
    kernel::publish::counted_above,
    policy::ingress_policy::watched,
    text::words::those_there,
};

/// What came of attaching to some interfaces.
#[derive(Default)]
pub(super) struct Attached {
    /// The names of those that are audited from now on.
    new: Vec<String>,
    /// Of those that refused, a sentence each.
    refusals: Vec<String>,
}

impl Attached {
    /// What came of others, too.
    pub(super) fn add(&mut self, others: Self) {
        self.new.extend(others.new);
        self.refusals.extend(others.refusals);
    }

    /// How many are audited from now on.
    pub(super) fn count(&self) -> usize {
        self.new.len()
    }

    /// Why the first that refused did.
    pub(super) fn first_refusal(&self) -> Option<&str> {
        self.refusals.first().map(String::as_str)
    }
}

impl Audit {
    /// That `--interface` asks for nothing that is there.
    pub(super) fn none_is_wanted(&self) -> String {
        let wanted = self
            .interfaces
            .iter()
            .map(|glob| format!("`{}`", glob.glob()));
        let there: BTreeSet<&str> = self
            .namespaces
            .values()
            .flat_map(|namespace| namespace.network.links.iter())
            .map(|link| link.name.as_str())
            .collect();
        format!(
            "no interface is named {}; there are {}",
            wanted.collect::<Vec<_>>().join(" or "),
            those_there(&Vec::from_iter(there))
        )
    }

    /// Attaches to those of the interfaces that are wanted; `alone`, where they came without their namespace.
    pub(super) fn attach(
        &mut self,
        netns: NetNsCookie,
        links: &[(IfIndex, String)],
        alone: bool,
    ) -> Result<Attached> {
        let mut attached = Attached::default();
        let Some(namespace) = self.namespaces.get(&netns) else {
            return Ok(attached);
        };
        let mut wanted: Vec<_> = links
            .iter()
            .filter(|(_, name)| {
                self.interfaces.is_empty() || self.interfaces.iter().any(|glob| glob.is_match(name))
            })
            .filter(|(index, _)| !namespace.hooks.has(*index))
            .cloned()
            .collect();
        if wanted.is_empty() {
            return Ok(attached);
        }
        // What is below them is not counted once more.
        let first = counted_above(netns, &namespace.network);
        wanted.sort_by_key(|(index, _)| !first.contains(index));
        let mut firsts = wanted.partition_point(|(index, _)| first.contains(index));
        let mut refusals = Vec::new();
        let index_of = |name: &str| {
            let wanted = wanted.iter().find(|(_, wanted)| wanted == name);
            wanted.map(|(index, _)| *index)
        };
        for some in batches(Work::Attaching, &wanted, &self.hub) {
            let Some(namespace) = self.namespaces.get_mut(&netns) else {
                break;
            };
            let before = attached.new.len();
            namespace
                .hooks
                .attach(some, |name, outcome| match outcome {
                    Ok(()) => attached.new.push(name.to_owned()),
                    Err(error) => refusals.push((name.to_owned(), anyhow::Error::from(error))),
                })?;
            if firsts > 0 {
                self.publish(netns);
            }
            for name in &attached.new[before..] {
                let index = index_of(name).unwrap_or_default();
                let name = name.clone();
                self.attachment(netns, index, attachments::Input::Attached { name, alone });
            }
            firsts = firsts.saturating_sub(some.len());
            if self.beginning != Beginning::Over && wanted.len() >= AT_ONCE {
                if firsts == 0 {
                    self.report_early()?;
                }
                self.answer_early()?;
            }
        }
        for (name, error) in refusals {
            let error = format!("{error:#}");
            attached.refusals.push(format!(
                "{name} cannot be attached, and its traffic is not audited: {error}"
            ));
            let interface = index_of(&name);
            let index = interface.unwrap_or_default();
            self.on_gaps(gaps::Input::Found(Box::new(Gap {
                key: GapKey {
                    netns,
                    interface,
                    source: GapSource::NotAttached,
                },
                cause: CauseKind::NotAttached {
                    interface: name.clone(),
                    error: error.clone(),
                },
                process: None,
                socket: None,
            })));
            self.attachment(netns, index, attachments::Input::Refused { name, error });
        }
        Ok(attached)
    }

    /// Watches what arrives, at the interfaces where the policy in force can find something amiss with it, and there only.
    pub(super) fn watch_arrivals(&mut self, netns: NetNsCookie) -> Result<()> {
        let (Some((_, policy)), Some(namespace)) = (
            self.policies.last_key_value(),
            self.namespaces.get_mut(&netns),
        ) else {
            return Ok(());
        };
        let wanted = watched(&namespace.network, policy);
        namespace.hooks.watch_arrivals_only_at(&wanted)?;
        if !wanted.is_empty() {
            self.hooks.load_ingress(&mut self.following.entries)?;
        }
        for some in batches(Work::AttachingIngress, &wanted, &self.hub) {
            if let Some(namespace) = self.namespaces.get_mut(&netns) {
                namespace.watch_arrivals(some, &self.hub)?;
            }
            if self.beginning != Beginning::Over && wanted.len() >= AT_ONCE {
                self.report_early()?;
                self.answer_early()?;
            }
        }
        Ok(())
    }

    /// Takes a change of a namespace into the maps, and attaches to what is new.
    pub(super) fn on_netlink_event(
        &mut self,
        netns: NetNsCookie,
        event: NetlinkEvent,
    ) -> Result<()> {
        if !self.namespaces.contains_key(&netns) {
            return Ok(());
        }
        if let NetlinkEvent::Filters = event {
            self.on_change();
            return Ok(());
        }
        self.foresight(foresight::Input::Changed(netns));
        self.integrity.on(integrity::Input::Changed, Instant::now());
        let Some(namespace) = self.namespaces.get_mut(&netns) else {
            return Ok(());
        };
        let mut gone = Vec::new();
        let mut there = Vec::new();
        match event {
            NetlinkEvent::Change(Change::Routes) => {
                namespace.oracle.rules_changed();
                return Ok(());
            }
            NetlinkEvent::Change(Change::Lost) | NetlinkEvent::Filters => return Ok(()),
            NetlinkEvent::Change(change) => {
                namespace.network.apply(&change);
                match change {
                    Change::LinkGone(index, _) => {
                        // It may have been moved to a namespace that is not known.
                        self.following.watch.soon();
                        namespace.hooks.forget(index);
                        gone.push(index);
                    }
                    Change::Link(link) => {
                        if !namespace.hooks.has(link.index) {
                            // Its other end may be in a namespace that is not known.
                            self.following.watch.soon();
                        }
                        there.push((link.index, link.name));
                    }
                    Change::Address(_) | Change::AddressGone(_) | Change::Routes | Change::Lost => {
                    }
                }
            }
            NetlinkEvent::Anew(network) => {
                there = links_of(&network);
                namespace.network = network;
                gone = namespace.hooks.forget_gone(&there)?;
            }
        }
        for index in gone {
            self.on_name(netns, names::Input::Gone(index));
            self.attachment(netns, index, attachments::Input::Gone);
        }
        for (index, name) in &there {
            self.on_link(netns, *index, name)?;
        }
        self.publish(netns);
        let attached = self.attach(netns, &there, true)?;
        self.watch_arrivals(netns)?;
        if attached.count() > 0 {
            // What is above others counts from now on.
            self.publish(netns);
        }
        self.on_gaps(gaps::Input::Report);
        Ok(())
    }

    /// Takes what has happened to an interface.
    fn attachment(&mut self, netns: NetNsCookie, index: IfIndex, input: attachments::Input) {
        let events = self.attachments.on(netns, index, input);
        self.hub.publish_all(events);
    }

    /// Writes into the maps what a namespace is like now.
    pub(super) fn publish(&mut self, netns: NetNsCookie) {
        let (Some((_, policy)), Some(namespace)) =
            (self.policies.last_key_value(), self.namespaces.get(&netns))
        else {
            return;
        };
        let audited = |index| namespace.hooks.has(index);
        let written = self
            .publisher
            .network(netns, &namespace.network, policy, audited);
        if let Err(error) = written {
            let error = format!("{error:#}");
            self.hub.note(Notice::MapsNotWritten { error });
        }
    }

    /// Learns of an interface that is there: a new one, perhaps with the index of another, or one with a new name.
    pub(super) fn on_link(&mut self, netns: NetNsCookie, index: IfIndex, name: &str) -> Result<()> {
        if self.names.is_gone(netns, index) {
            self.archive(netns, index)?;
        }
        if !self.on_name(netns, names::Input::Link(index, name)) {
            return Ok(());
        }
        let concerned = self.ledger.keys_where(|key| {
            key.netns() == netns && [key.egress(), key.bound()].contains(&Some(index))
        });
        for key in concerned {
            self.ledger.refine(&key, |finding| {
                self.shared.amend_place(finding, |place, names| {
                    if key.egress() == Some(index) {
                        place.interface = Some(names.one(name));
                    }
                    if key.bound() == Some(index) {
                        place.bound_device = Some(names.one(name));
                    }
                });
            });
        }
        self.judge_all();
        let named = attachments::Input::Named(name.to_owned());
        self.attachment(netns, index, named);
        Ok(())
    }

    /// Archives what was counted for an interface that is gone, before another that has its index is audited: until then, nothing
    /// leaves by the index that the programs could count.
    fn archive(&mut self, netns: NetNsCookie, index: IfIndex) -> Result<()> {
        self.read_findings(When::Now)?;
        let left_by_it = |key: &Key| key.netns() == netns && key.egress() == Some(index);
        for key in self.ledger.keys_where(left_by_it) {
            let samples = self.samples(&key).unwrap_or_default();
            if let Key::Counted(key) = &key {
                self.archive_finding(key);
                self.counters.forget(key);
            }
            self.ledger.close(&key, samples);
        }
        self.archive_cells(netns, index)
    }
}

impl Namespace {
    /// Watches what arrives at these interfaces too.
    pub(super) fn watch_arrivals(
        &mut self,
        interfaces: &[(IfIndex, String)],
        hub: &Hub,
    ) -> Result<()> {
        self.hooks.watch_arrivals(interfaces, |name, outcome| {
            if let Err(error) = outcome {
                hub.note(Notice::ArrivalsNotAudited {
                    interface: name.to_owned(),
                    error: format!("{:#}", anyhow::Error::from(error)),
                });
            }
        })
    }
}

/// The interfaces of a namespace.
pub(super) fn links_of(network: &Network) -> Vec<(IfIndex, String)> {
    let links = network.links.iter();
    links.map(|link| (link.index, link.name.clone())).collect()
}
