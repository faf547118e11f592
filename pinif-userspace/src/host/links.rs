//! The table of a namespace's interfaces.

mod link;
mod message;

use std::collections::{BTreeMap, HashMap};

use pinif_ebpf::key::IfIndex;

pub use link::Link;

/// The interfaces of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    by_index: BTreeMap<IfIndex, Link>,
    by_name: HashMap<String, IfIndex>,
}

impl Links {
    /// The interface with this index.
    pub fn get(&self, index: IfIndex) -> Option<&Link> {
        self.by_index.get(&index)
    }

    /// The interface with this name.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.by_name.get(name).and_then(|index| self.get(*index))
    }

    /// All, in the order of their indexes.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.by_index.values()
    }

    /// The VRF device that a routing table belongs to.
    pub fn vrf(&self, table: u32) -> Option<&Link> {
        self.iter().find(|link| link.vrf_table == Some(table))
    }

    /// Whether nothing leaves the host by this interface as such: it ends here, or sends by ports and has none.
    pub fn leads_nowhere(&self, link: &Link) -> bool {
        let has_port = || self.iter().any(|port| port.controller == Some(link.index));
        link.ends_here() || link.has_ports() && !has_port()
    }

    /// The bridge that takes what an interface sends: the one whose port its peer is, in the same namespace.
    pub fn bridge_behind(&self, link: &Link) -> Option<&Link> {
        let controller = self.get(self.get(link.peer?)?.controller?)?;
        (controller.kind.as_deref() == Some("bridge")).then_some(controller)
    }

    /// Adds an interface, or learns its new state and name. Returns what was known of it.
    ///
    /// Of a pair, the message of the end that is made first does not name the other (`veth_newlink`): what either says holds of both.
    pub fn insert(&mut self, mut link: Link) -> Option<Link> {
        link.peer = link.peer.or_else(|| {
            let mut others = self.by_index.values();
            let peer = others.find(|other| other.peer == Some(link.index))?;
            Some(peer.index)
        });
        let old = self.remove(link.index);
        if let Some(peer) = link.peer.and_then(|peer| self.by_index.get_mut(&peer)) {
            peer.peer = Some(link.index);
        }
        self.by_name.insert(link.name.clone(), link.index);
        self.by_index.insert(link.index, link);
        old
    }

    /// Forgets an interface. Returns what was known of it.
    pub fn remove(&mut self, index: IfIndex) -> Option<Link> {
        let old = self.by_index.remove(&index)?;
        if let Some(peer) = old.peer.and_then(|peer| self.by_index.get_mut(&peer)) {
            peer.peer = None;
        }
        // Two interfaces may have swapped names: the name is another's by now.
        if self.by_name.get(&old.name) == Some(&index) {
            self.by_name.remove(&old.name);
        }
        Some(old)
    }
}

impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        let mut table = Self::default();
        for link in links {
            table.insert(link);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_of_a_pair_says_holds_of_both() {
        let (first, second) = (Link::new(IfIndex(2), "a"), Link::new(IfIndex(3), "b"));
        let second = Link {
            peer: Some(IfIndex(2)),
            ..second
        };
        let mut links = Links::from_iter([first.clone(), second]);
        let peer = |links: &Links, index| links.get(IfIndex(index)).and_then(|link| link.peer);
        assert_eq!(peer(&links, 2), Some(IfIndex(3)));
        links.insert(first);
        assert_eq!(peer(&links, 2), Some(IfIndex(3)));
        links.remove(IfIndex(3));
        assert_eq!(peer(&links, 2), None);
    }

    #[test]
    fn names_follow_renames_and_swaps() {
        let mut links = Links::from_iter([Link::new(IfIndex(2), "a"), Link::new(IfIndex(3), "b")]);
        links.insert(Link::new(IfIndex(2), "t"));
        assert_eq!(links.by_name("a"), None);
        links.insert(Link::new(IfIndex(3), "a"));
        links.insert(Link::new(IfIndex(2), "b"));
        assert_eq!(links.by_name("a").map(|link| link.index), Some(IfIndex(3)));
        assert_eq!(links.by_name("b").map(|link| link.index), Some(IfIndex(2)));
        // A message that was lost: 2 is reported with 3's name before 3's own new name is.
        links.insert(Link::new(IfIndex(2), "a"));
        links.remove(IfIndex(3));
        assert_eq!(links.by_name("a").map(|link| link.index), Some(IfIndex(2)));
        assert_eq!(links.iter().count(), 1);
    }
}
