//! What namespaces and interfaces are called, also those that are gone, and which interfaces have had an index one after another.

use std::collections::BTreeMap;

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::FindingKey,
};

use crate::{
    findings::finding::FindingId,
    kernel::persist::{InterfaceNames, Remembered},
};

/// What may happen to the names of a namespace.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    /// The namespace itself has this name from now on.
    Namespace(&'a str),
    /// An interface is there, with this name: a new one, perhaps with the index of another, or one that was renamed.
    Link(IfIndex, &'a str),
    /// An interface is gone.
    Gone(IfIndex),
}

/// What follows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// The next instance is to know a namespace's name.
    RememberNamespace(NetNsCookie, String),
    /// The next instance is to know an interface's name.
    RememberInterface(Remembered),
    /// The same interface has another name than before.
    Renamed,
}

/// The last name of every namespace and interface that was ever seen.
#[derive(Debug, Default)]
pub(super) struct Names {
    namespaces: BTreeMap<NetNsCookie, String>,
    interfaces: BTreeMap<(NetNsCookie, IfIndex), Known>,
}

#[derive(Debug)]
struct Known {
    name: String,
    is_gone: bool,
    /// How many interfaces have had the index before.
    predecessors: u32,
}

impl Names {
    /// The names that previous instances knew.
    pub(super) fn new(namespaces: Vec<(NetNsCookie, String)>, interfaces: Vec<Remembered>) -> Self {
        let known = interfaces.into_iter().map(|interface| {
            let known = Known {
                name: interface.name,
                is_gone: interface.is_gone,
                predecessors: interface.predecessors,
            };
            ((interface.netns, interface.index), known)
        });
        Self {
            namespaces: namespaces.into_iter().collect(),
            interfaces: known.collect(),
        }
    }

    /// Takes what has happened.
    pub(super) fn on(&mut self, netns: NetNsCookie, input: Input<'_>) -> Vec<Output> {
        match input {
            Input::Namespace(name) => {
                self.namespaces.insert(netns, name.to_owned());
                vec![Output::RememberNamespace(netns, name.to_owned())]
            }
            Input::Link(index, name) => self.on_link(netns, index, name),
            Input::Gone(index) => match self.interfaces.get_mut(&(netns, index)) {
                Some(known) => {
                    known.is_gone = true;
                    vec![known.remember(netns, index)]
                }
                None => Vec::new(),
            },
        }
    }

    fn on_link(&mut self, netns: NetNsCookie, index: IfIndex, name: &str) -> Vec<Output> {
        let Some(known) = self.interfaces.get_mut(&(netns, index)) else {
            let known = Known {
                name: name.to_owned(),
                is_gone: false,
                predecessors: 0,
            };
            let remember = known.remember(netns, index);
            self.interfaces.insert((netns, index), known);
            return vec![remember];
        };
        let is_another = std::mem::take(&mut known.is_gone);
        let has_other_name = known.name != name;
        known.predecessors += u32::from(is_another);
        name.clone_into(&mut known.name);
        match (is_another, has_other_name) {
            (true, _) => vec![known.remember(netns, index)],
            (false, true) => vec![known.remember(netns, index), Output::Renamed],
            (false, false) => Vec::new(),
        }
    }

    /// What a namespace is called, or was.
    pub(super) fn namespace(&self, netns: NetNsCookie) -> String {
        self.namespaces.get(&netns).cloned().unwrap_or_default()
    }

    /// Whether a namespace is, or ever was, audited.
    pub(super) fn has_namespace(&self, netns: NetNsCookie) -> bool {
        self.namespaces.contains_key(&netns)
    }

    /// The name of an interface, or its number where its name was never known.
    pub(super) fn interface(&self, netns: NetNsCookie, index: IfIndex) -> String {
        match self.interfaces.get(&(netns, index)) {
            Some(known) => known.name.clone(),
            None => format!("if{}", index.0),
        }
    }

    /// The names of a counter's interfaces; none for no interface.
    pub(super) fn of_counter(
        &self,
        netns: NetNsCookie,
        egress: IfIndex,
        bound: IfIndex,
    ) -> InterfaceNames {
        let name = |index: IfIndex| {
            let known = index.is_some().then(|| self.interface(netns, index));
            known.unwrap_or_default()
        };
        InterfaceNames {
            egress: name(egress),
            bound: name(bound),
        }
    }

    /// The interfaces of a namespace that are not known to be gone.
    pub(super) fn present(&self, netns: NetNsCookie) -> Vec<IfIndex> {
        let known = self.known_in(netns);
        known
            .filter(|(_, known)| !known.is_gone)
            .map(|(index, _)| index)
            .collect()
    }

    /// The names of a namespace's interfaces that are there no more.
    pub(super) fn gone_from(&self, netns: NetNsCookie) -> Vec<String> {
        let is_present = |name: &str| {
            let mut known = self.known_in(netns);
            known.any(|(_, known)| !known.is_gone && known.name == name)
        };
        self.known_in(netns)
            .filter(|(_, known)| known.is_gone && !is_present(&known.name))
            .map(|(_, known)| known.name.clone())
            .collect()
    }

    fn known_in(&self, netns: NetNsCookie) -> impl Iterator<Item = (IfIndex, &Known)> {
        let all = (netns, IfIndex(0))..=(netns, IfIndex(u32::MAX));
        let known = self.interfaces.range(all);
        known.map(|((_, index), known)| (*index, known))
    }

    /// Whether the interface with this index was there and is gone: another that has the index is not the same.
    pub(super) fn is_gone(&self, netns: NetNsCookie, index: IfIndex) -> bool {
        let known = self.interfaces.get(&(netns, index));
        known.is_some_and(|known| known.is_gone)
    }

    /// How many interfaces have had the index before the one that has it now, or had it last.
    pub(super) fn predecessors(&self, netns: NetNsCookie, index: IfIndex) -> u32 {
        let known = self.interfaces.get(&(netns, index));
        known.map_or(0, |known| known.predecessors)
    }

    /// A finding's id: not the same for the interfaces that have had one index.
    pub(super) fn finding_id(&self, key: &FindingKey) -> FindingId {
        Self::id(key, self.predecessors(key.netns, key.egress))
    }

    /// A finding's id at an interface whose index so many have had before.
    pub(super) fn id(key: &FindingKey, predecessors: u32) -> FindingId {
        let mut bytes = key.to_bytes().to_vec();
        if predecessors > 0 {
            bytes.extend(predecessors.to_le_bytes());
        }
        FindingId::of(&bytes)
    }
}

impl Known {
    fn remember(&self, netns: NetNsCookie, index: IfIndex) -> Output {
        Output::RememberInterface(Remembered {
            netns,
            index,
            name: self.name.clone(),
            is_gone: self.is_gone,
            predecessors: self.predecessors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: NetNsCookie = NetNsCookie(7);
    const THERE: NetNsCookie = NetNsCookie(8);
    const INDEX: IfIndex = IfIndex(3);

    fn link(name: &str) -> Input<'_> {
        Input::Link(INDEX, name)
    }

    fn remembered(name: &str, is_gone: bool, predecessors: u32) -> Output {
        Output::RememberInterface(Remembered {
            netns: HERE,
            index: INDEX,
            name: name.to_owned(),
            is_gone,
            predecessors,
        })
    }

    #[test]
    fn a_renamed_interface_is_the_same_and_a_new_one_with_its_index_is_not() {
        let mut names = Names::default();
        assert_eq!(names.interface(HERE, INDEX), "if3");
        assert_eq!(names.on(HERE, link("eth2")), [remembered("eth2", false, 0)]);
        assert_eq!(names.on(HERE, link("eth2")), []);
        assert_eq!(
            names.on(HERE, link("wan0")),
            [remembered("wan0", false, 0), Output::Renamed]
        );
        let key = FindingKey {
            netns: HERE,
            egress: INDEX,
            ..FindingKey::default()
        };
        let first = names.finding_id(&key);
        assert_eq!(
            names.on(HERE, Input::Gone(INDEX)),
            [remembered("wan0", true, 0)]
        );
        assert!(names.is_gone(HERE, INDEX));
        assert_eq!(
            names.interface(HERE, INDEX),
            "wan0",
            "until another has its index"
        );
        assert_eq!(names.gone_from(HERE), ["wan0"]);
        assert_eq!(names.present(HERE), []);
        assert!(names.gone_from(THERE).is_empty());
        assert_eq!(names.on(HERE, link("fab1")), [remembered("fab1", false, 1)]);
        assert!(!names.is_gone(HERE, INDEX));
        assert_ne!(names.finding_id(&key), first);
        assert_eq!(Names::id(&key, 0), first);
        assert_eq!(names.interface(HERE, INDEX), "fab1");
        assert_eq!(names.present(HERE), [INDEX]);
        assert_eq!(names.on(THERE, Input::Gone(INDEX)), []);
        assert!(!names.is_gone(THERE, INDEX), "it never was there");
        assert_eq!(names.interface(THERE, INDEX), "if3");
    }

    #[test]
    fn another_instance_goes_on_from_what_was_remembered() {
        let mut first = Names::default();
        let mut interfaces = Vec::new();
        let mut namespaces = Vec::new();
        let inputs = [
            Input::Namespace("card"),
            link("eth2"),
            Input::Gone(INDEX),
            link("fab1"),
        ];
        for output in inputs
            .map(|input| first.on(HERE, input))
            .into_iter()
            .flatten()
        {
            match output {
                Output::RememberNamespace(netns, name) => namespaces.push((netns, name)),
                Output::RememberInterface(interface) => interfaces.push(interface),
                Output::Renamed => panic!("another interface is no renamed one"),
            }
        }
        let next = Names::new(namespaces, interfaces);
        assert_eq!(next.namespace(HERE), "card");
        assert!(next.has_namespace(HERE) && !next.has_namespace(THERE));
        assert_eq!(next.interface(HERE, INDEX), "fab1");
        assert_eq!(next.predecessors(HERE, INDEX), 1);
        assert_eq!(next.of_counter(HERE, INDEX, IfIndex::NONE).egress, "fab1");
        assert_eq!(next.of_counter(HERE, INDEX, IfIndex::NONE).bound, "");
    }
}
