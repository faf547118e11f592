//! Interfaces come, change their names and go: the programs and the counts follow.

use std::{collections::BTreeSet, time::Instant};

use anyhow::Result;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{
    attachments,
    audit::{Audit, When},
    foresight, gaps, integrity, names,
    netlink_events::NetlinkEvent,
};
use crate::{
    collector::key::Key,
    host::network::{Change, Network},
    hub::Notice,
    text::words::those_there,
};

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
        self.watch_arrivals(netns)?;
        // By its new name it may be in another zone: from now on it is.
        for (index, name) in &there {
            let named = attachments::Input::Named(name.clone());
            self.attachment(netns, *index, named);
        }
        self.attach(netns, &there, true)?;
        self.on_gaps(gaps::Input::Report);
        Ok(())
    }

    /// Takes what has happened to an interface.
    pub(super) fn attachment(
        &mut self,
        netns: NetNsCookie,
        index: IfIndex,
        input: attachments::Input,
    ) {
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

    /// Learns of an interface that is there: a new one, perhaps with the index of another, or one with a new name, which is not reported yet.
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

/// The interfaces of a namespace.
pub(super) fn links_of(network: &Network) -> Vec<(IfIndex, String)> {
    let links = network.links.iter();
    links.map(|link| (link.index, link.name.clone())).collect()
}
