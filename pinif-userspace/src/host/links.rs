//! Interfaces: what one is, and the table of a namespace's.

mod message;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pinif_ebpf::{intent::Name, key::IfIndex, tunnel::Signature};

pub(crate) use message::{attributes, text};

/// An interface, as the kernel last told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index in its namespace.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// The same in the kernel's own bytes, which need not be text.
    pub kernel_name: Name,
    /// The kind of virtual device (`IFLA_INFO_KIND`: `veth`, `bond`, `vlan`, …); none for hardware and loopback.
    pub kind: Option<String>,
    /// Set up by the administrator (`IFF_UP`).
    pub up: bool,
    /// Up, and able to pass packets (`IFF_RUNNING`, RFC 2863's operational state).
    pub running: bool,
    /// A loopback device (`IFF_LOOPBACK`).
    pub loopback: bool,
    /// The bond, team, bridge or VRF that it belongs to (`IFLA_MASTER`).
    pub controller: Option<IfIndex>,
    /// The interface that it is stacked on (`IFLA_LINK`), where that is in the same namespace.
    pub lower: Option<IfIndex>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The routing table of a VRF device (`IFLA_VRF_TABLE`).
    pub vrf_table: Option<u32>,
    /// The interfaces that an HSR or PRP device sends each frame by (`IFLA_HSR_SLAVE1`, …).
    pub ring: Vec<IfIndex>,
    /// An ipvlan that routes (modes `l3` and `l3s`): what it sends goes through the IP layer again on its way down.
    pub routes: bool,
    /// The headers of a tunnel's outer packets, whatever interface a route sends them by.
    pub outer: BTreeSet<Signature>,
}

impl Link {
    /// An interface with a name and nothing else: down, alone, of no kind.
    pub fn new(index: IfIndex, name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            index,
            kernel_name: Name::of(name.as_bytes()),
            name,
            kind: None,
            up: false,
            running: false,
            loopback: false,
            controller: None,
            lower: None,
            mtu: 0,
            vrf_table: None,
            ring: Vec::new(),
            routes: false,
            outer: BTreeSet::new(),
        }
    }

    /// Whether nothing that it sends ever leaves the machine: addresses on it name the host, not an interface
    /// (router-id and service addresses).
    pub fn is_internal(&self) -> bool {
        self.loopback || self.kind.as_deref() == Some("dummy")
    }
}

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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_index.is_empty()
    }

    /// The VRF device that a routing table belongs to.
    pub fn vrf(&self, table: u32) -> Option<&Link> {
        self.iter().find(|link| link.vrf_table == Some(table))
    }

    /// Adds an interface, or learns its new state and name. Returns what was known of it.
    pub fn insert(&mut self, link: Link) -> Option<Link> {
        let old = self.remove(link.index);
        self.by_name.insert(link.name.clone(), link.index);
        self.by_index.insert(link.index, link);
        old
    }

    /// Forgets an interface. Returns what was known of it.
    pub fn remove(&mut self, index: IfIndex) -> Option<Link> {
        let old = self.by_index.remove(&index)?;
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
    fn names_follow_renames_and_swaps() {
        let mut links = Links::from_iter([Link::new(IfIndex(2), "a"), Link::new(IfIndex(3), "b")]);
        links.insert(Link::new(IfIndex(2), "t"));
        assert_eq!(links.by_name("a"), None);
        links.insert(Link::new(IfIndex(3), "a"));
        links.insert(Link::new(IfIndex(2), "b"));
        assert_eq!(links.by_name("a").map(|link| link.index), Some(IfIndex(3)));
        assert_eq!(links.by_name("b").map(|link| link.index), Some(IfIndex(2)));
        // A message that was lost: 2 is told to have 3's name before 3's own new name is.
        links.insert(Link::new(IfIndex(2), "a"));
        links.remove(IfIndex(3));
        assert_eq!(links.by_name("a").map(|link| link.index), Some(IfIndex(2)));
        assert_eq!(links.len(), 1);
    }
}
