//! The pinned links of interfaces, each under a name that says which it is.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::bpffs::names;
use crate::kernel::direction::TcDirection;

/// The links of interfaces, for those who attach.
#[derive(Clone, Debug)]
pub struct Pins {
    pub(super) links: PathBuf,
    pub(super) keeps: Arc<AtomicBool>,
}

/// An interface's pinned link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The interface.
    pub interface: IfIndex,
    /// The direction.
    pub direction: TcDirection,
}

impl Pin {
    fn name(self) -> String {
        let direction = match self.direction {
            TcDirection::Egress => "egress",
            TcDirection::Ingress => "ingress",
        };
        format!("{}-{}-{direction}", self.netns.0, self.interface.0)
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let pin = Self {
            netns: NetNsCookie(parts.next()?.parse().ok()?),
            interface: IfIndex(parts.next()?.parse().ok()?),
            direction: match parts.next()? {
                "egress" => TcDirection::Egress,
                "ingress" => TcDirection::Ingress,
                _ => return None,
            },
        };
        parts.next().is_none().then_some(pin)
    }
}

impl Pins {
    /// Where an interface's link is.
    pub(in crate::kernel) fn path(
        &self,
        netns: NetNsCookie,
        interface: IfIndex,
        direction: TcDirection,
    ) -> PathBuf {
        let pin = Pin {
            netns,
            interface,
            direction,
        };
        self.links.join(pin.name())
    }

    /// Where it is pinned.
    pub(in crate::kernel) fn path_of(&self, pin: Pin) -> PathBuf {
        self.links.join(pin.name())
    }

    /// Whether all stays attached when the collector ends.
    pub(in crate::kernel) fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Relaxed)
    }

    /// All links that are pinned.
    pub fn all(&self) -> Vec<Pin> {
        let names = names(&self.links);
        names.iter().filter_map(|name| Pin::of(name)).collect()
    }

    /// Detaches what is not to be kept.
    pub fn retain(&self, is_kept: impl Fn(Pin) -> bool) {
        for name in names(&self.links) {
            if Pin::of(&name).is_some_and(|pin| !is_kept(pin)) {
                let _ = fs::remove_file(self.links.join(name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_again_by_its_name() {
        for direction in TcDirection::ALL {
            let pin = Pin {
                netns: NetNsCookie(4097),
                interface: IfIndex(12),
                direction,
            };
            assert_eq!(Pin::of(&pin.name()), Some(pin));
            assert_eq!(Pin::of(&format!("{}-new", pin.name())), None);
        }
        for name in ["", "7", "7-3", "7-3-out", "x-3-egress", "7-x-egress"] {
            assert_eq!(Pin::of(name), None, "{name}");
        }
    }
}
