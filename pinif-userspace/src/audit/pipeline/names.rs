//! What interfaces are called, and which of them have had an index one after another.

use std::collections::BTreeMap;

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::FindingKey,
};

use crate::audit::finding::FindingId;

/// The last name of every interface that was ever seen, also of those that are gone.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<(NetNsCookie, IfIndex), Known>);

#[derive(Debug)]
struct Known {
    name: String,
    is_gone: bool,
    /// How many interfaces have had the index before.
    predecessors: u32,
}

impl Names {
    /// The name of an interface, or its number where it was never told.
    pub(super) fn of(&self, netns: NetNsCookie, index: IfIndex) -> String {
        match self.0.get(&(netns, index)) {
            Some(known) => known.name.clone(),
            None => format!("if{}", index.0),
        }
    }

    /// How many interfaces have had the index before the one that has it now, or had it last.
    pub(super) fn predecessors(&self, netns: NetNsCookie, index: IfIndex) -> u32 {
        self.0
            .get(&(netns, index))
            .map_or(0, |known| known.predecessors)
    }

    /// What a finding is called: for the interfaces that have had one index, not the same.
    pub(super) fn finding_id(&self, key: &FindingKey) -> FindingId {
        let mut bytes = key.to_bytes().to_vec();
        let predecessors = self.predecessors(key.netns, key.egress);
        if predecessors > 0 {
            bytes.extend(predecessors.to_le_bytes());
        }
        FindingId::of(&bytes)
    }

    /// Whether the interface with this index was there and is gone: another that has the index is not the same.
    pub(super) fn is_gone(&self, netns: NetNsCookie, index: IfIndex) -> bool {
        self.0
            .get(&(netns, index))
            .is_some_and(|known| known.is_gone)
    }

    /// Learns of an interface or its name. Returns the name that it had until now, if that was another.
    pub(super) fn learn(
        &mut self,
        netns: NetNsCookie,
        index: IfIndex,
        name: &str,
    ) -> Option<String> {
        let Some(known) = self.0.get_mut(&(netns, index)) else {
            let known = Known {
                name: name.to_owned(),
                is_gone: false,
                predecessors: 0,
            };
            self.0.insert((netns, index), known);
            return None;
        };
        let is_another = std::mem::take(&mut known.is_gone);
        known.predecessors += u32::from(is_another);
        let old = std::mem::replace(&mut known.name, name.to_owned());
        (!is_another && old != name).then_some(old)
    }

    /// The names of a namespace's interfaces that are there no more.
    pub(super) fn gone_from(&self, netns: NetNsCookie) -> Vec<String> {
        let all = (netns, IfIndex(0))..=(netns, IfIndex(u32::MAX));
        let there = |name: &str| {
            let mut known = self.0.range(all.clone()).map(|(_, known)| known);
            known.any(|known| !known.is_gone && known.name == name)
        };
        let known = self.0.range(all.clone()).map(|(_, known)| known);
        known
            .filter(|known| known.is_gone && !there(&known.name))
            .map(|known| known.name.clone())
            .collect()
    }

    /// Learns that an interface is gone.
    pub(super) fn gone(&mut self, netns: NetNsCookie, index: IfIndex) {
        if let Some(known) = self.0.get_mut(&(netns, index)) {
            known.is_gone = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: NetNsCookie = NetNsCookie(7);
    const THERE: NetNsCookie = NetNsCookie(8);
    const INDEX: IfIndex = IfIndex(3);

    #[test]
    fn a_renamed_interface_is_the_same_and_a_new_one_with_its_index_is_not() {
        let mut names = Names::default();
        assert_eq!(names.of(HERE, INDEX), "if3");
        assert_eq!(names.learn(HERE, INDEX, "eth2"), None);
        assert_eq!(names.learn(HERE, INDEX, "eth2"), None);
        assert_eq!(names.learn(HERE, INDEX, "wan0").as_deref(), Some("eth2"));
        let key = FindingKey {
            netns: HERE,
            egress: INDEX,
            ..FindingKey::default()
        };
        let first = names.finding_id(&key);
        names.gone(HERE, INDEX);
        assert!(names.is_gone(HERE, INDEX));
        assert_eq!(names.of(HERE, INDEX), "wan0", "until another has its index");
        assert_eq!(names.gone_from(HERE), ["wan0"]);
        assert!(names.gone_from(THERE).is_empty());
        assert_eq!(names.learn(HERE, INDEX, "fab1"), None);
        assert!(!names.is_gone(HERE, INDEX));
        assert_ne!(names.finding_id(&key), first);
        assert_eq!(names.of(HERE, INDEX), "fab1");
        names.gone(THERE, INDEX);
        assert!(!names.is_gone(THERE, INDEX), "it never was there");
        assert_eq!(names.of(THERE, INDEX), "if3");
    }
}
