//! What interfaces are called, and which of them have had an index one after another.

use std::{collections::BTreeMap, rc::Rc};

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::FindingKey,
};

use crate::{
    findings::finding::FindingId,
    kernel::persist::{Persist, Remembered},
};

/// The last name of every interface that was ever seen, also of those that are gone.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeMap<(NetNsCookie, IfIndex), Known>,
    /// What later lives are to know.
    persist: Option<Rc<Persist>>,
}

#[derive(Debug)]
struct Known {
    name: String,
    is_gone: bool,
    /// How many interfaces have had the index before.
    predecessors: u32,
}

impl Names {
    /// The names that earlier lives knew, and that later ones will.
    pub(super) fn with(persist: Option<Rc<Persist>>) -> Self {
        let earlier = persist.iter().flat_map(|persist| persist.interfaces());
        let known = earlier.map(|interface| {
            let known = Known {
                name: interface.name,
                is_gone: interface.is_gone,
                predecessors: interface.predecessors,
            };
            ((interface.netns, interface.index), known)
        });
        Self {
            known: known.collect(),
            persist,
        }
    }

    fn remember(&self, netns: NetNsCookie, index: IfIndex) {
        if let (Some(persist), Some(known)) = (&self.persist, self.known.get(&(netns, index))) {
            persist.remember_interface(&Remembered {
                netns,
                index,
                name: known.name.clone(),
                is_gone: known.is_gone,
                predecessors: known.predecessors,
            });
        }
    }

    /// The interfaces of a namespace that are not known to be gone.
    pub(super) fn there(&self, netns: NetNsCookie) -> Vec<IfIndex> {
        let all = (netns, IfIndex(0))..=(netns, IfIndex(u32::MAX));
        let known = self.known.range(all);
        known
            .filter(|(_, known)| !known.is_gone)
            .map(|((_, index), _)| *index)
            .collect()
    }

    /// The name of an interface, or its number where it was never told.
    pub(super) fn of(&self, netns: NetNsCookie, index: IfIndex) -> String {
        match self.known.get(&(netns, index)) {
            Some(known) => known.name.clone(),
            None => format!("if{}", index.0),
        }
    }

    /// How many interfaces have had the index before the one that has it now, or had it last.
    pub(super) fn predecessors(&self, netns: NetNsCookie, index: IfIndex) -> u32 {
        self.known
            .get(&(netns, index))
            .map_or(0, |known| known.predecessors)
    }

    /// What a finding is called: for the interfaces that have had one index, not the same.
    pub(super) fn finding_id(&self, key: &FindingKey) -> FindingId {
        Self::id(key, self.predecessors(key.netns, key.egress))
    }

    /// What a finding is called, at an interface whose index so many have had before.
    pub(super) fn id(key: &FindingKey, predecessors: u32) -> FindingId {
        let mut bytes = key.to_bytes().to_vec();
        if predecessors > 0 {
            bytes.extend(predecessors.to_le_bytes());
        }
        FindingId::of(&bytes)
    }

    /// Whether the interface with this index was there and is gone: another that has the index is not the same.
    pub(super) fn is_gone(&self, netns: NetNsCookie, index: IfIndex) -> bool {
        self.known
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
        let Some(known) = self.known.get_mut(&(netns, index)) else {
            let known = Known {
                name: name.to_owned(),
                is_gone: false,
                predecessors: 0,
            };
            self.known.insert((netns, index), known);
            self.remember(netns, index);
            return None;
        };
        let is_another = std::mem::take(&mut known.is_gone);
        known.predecessors += u32::from(is_another);
        let old = std::mem::replace(&mut known.name, name.to_owned());
        if is_another || old != name {
            self.remember(netns, index);
        }
        (!is_another && old != name).then_some(old)
    }

    /// The names of a namespace's interfaces that are there no more.
    pub(super) fn gone_from(&self, netns: NetNsCookie) -> Vec<String> {
        let all = (netns, IfIndex(0))..=(netns, IfIndex(u32::MAX));
        let there = |name: &str| {
            let mut known = self.known.range(all.clone()).map(|(_, known)| known);
            known.any(|known| !known.is_gone && known.name == name)
        };
        let known = self.known.range(all.clone()).map(|(_, known)| known);
        known
            .filter(|known| known.is_gone && !there(&known.name))
            .map(|known| known.name.clone())
            .collect()
    }

    /// Learns that an interface is gone.
    pub(super) fn gone(&mut self, netns: NetNsCookie, index: IfIndex) {
        if let Some(known) = self.known.get_mut(&(netns, index)) {
            known.is_gone = true;
            self.remember(netns, index);
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
