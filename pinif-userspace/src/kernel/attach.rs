//! Attaching the traffic programs to the interfaces of a namespace.

mod ahead;
mod hooks;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use aya::{
    programs::{ProgramError, SchedClassifier},
    util::KernelVersion,
};
use nix::net::if_::if_nameindex;
use pinif_ebpf::key::IfIndex;

use super::{
    direction::Direction,
    entry::Entries,
    filters,
    hook::Hook,
    persist::{self, Owner, Persist, Pins, link},
};
use crate::host::netns::NetNs;

pub use ahead::{Ahead, at_egress};
pub use hooks::{CgroupHooks, Hooks, load_egress};
pub(super) use hooks::{program, refusal};

/// How the traffic program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// TCX links (since Linux 6.6): they go with the process.
    Tcx,
    /// Filters of the clsact qdisc: they would outlive a killed process, and are taken over at the next start.
    Clsact,
}

impl Mode {
    /// The better one that this kernel has.
    pub fn of_kernel() -> Self {
        if KernelVersion::current().is_ok_and(|kernel| kernel >= KernelVersion::new(6, 6, 0)) {
            Self::Tcx
        } else {
            Self::Clsact
        }
    }

    /// The name in the `ready` line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// The entry programs of one namespace, and where they are attached.
pub struct NamespaceHooks {
    netns: NetNs,
    mode: Mode,
    egress: Hook,
    /// What arrives is looked at where a policy can find something amiss with it.
    ingress: Hook,
}

impl NamespaceHooks {
    /// Loads the entry programs of a namespace, for links that are pinned where there are `pins`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses one.
    pub fn load(entries: &Entries, netns: NetNs, mode: Mode, pins: Option<Pins>) -> Result<Self> {
        let hook = |direction| -> Result<Hook> {
            let program = entries.of(netns.cookie, direction, pins.is_some())?;
            let pins = pins.clone();
            Ok(Hook::new(netns.cookie, direction, mode, program, pins))
        };
        Ok(Self {
            egress: hook(Direction::Egress)?,
            ingress: hook(Direction::Ingress)?,
            mode,
            netns,
        })
    }

    /// The namespace.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// The interfaces of which what leaves is seen: those that are audited.
    pub fn interfaces(&self) -> impl Iterator<Item = IfIndex> {
        self.egress.interfaces()
    }

    /// Whether what leaves by the interface is seen.
    pub fn has(&self, interface: IfIndex) -> bool {
        self.egress.has(interface)
    }

    /// Those of the interfaces at which an earlier life's program is still: they are the ones that it knew.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn left_at(&self, interfaces: &[(IfIndex, String)]) -> Result<BTreeSet<IfIndex>> {
        let Self { netns, egress, .. } = self;
        let was_left = |(index, name): &&(IfIndex, String)| egress.was_left_at(*index, name);
        netns
            .run(|| {
                let left = interfaces.iter().filter(was_left);
                left.map(|(index, _)| *index).collect()
            })
            .with_context(|| no_entry(netns))
    }

    /// Whether the program is attached to an interface in this direction.
    pub fn holds(&self, interface: IfIndex, direction: Direction) -> bool {
        match direction {
            Direction::Egress => self.egress.has(interface),
            Direction::Ingress => self.ingress.has(interface),
        }
    }

    /// Removes the filters that an earlier life of this auditor has left at interfaces which are not audited any more.
    pub fn remove_other_filters(&self, own: &Owner) {
        if self.mode == Mode::Clsact {
            let Self { netns, egress, .. } = self;
            // One that cannot be entered any more took its filters along.
            let _ = netns.run(|| {
                persist::filters_here(
                    |interface| egress.has(interface),
                    |program| own.has(program),
                )
            });
        }
    }

    /// Attaches to the egress of interfaces, by the names that they have now; those that it has already are left alone.
    /// `done` hears of each, and what went wrong with it; not of one that is gone or has another name by now, of which there
    /// are news.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered. An interface that refuses is `done`'s to tell.
    pub fn attach(
        &mut self,
        interfaces: &[(IfIndex, String)],
        done: impl FnMut(&str, Result<(), ProgramError>) + Send,
    ) -> Result<()> {
        let Self { netns, egress, .. } = self;
        netns
            .run(|| egress.attach(interfaces, done))
            .with_context(|| no_entry(netns))
    }

    /// Attaches to the ingress of those of the interfaces that are audited and where what arrives may be amiss; `done` as for
    /// [`Self::attach`].
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn watch_arrivals(
        &mut self,
        interfaces: &[(IfIndex, String)],
        done: impl FnMut(&str, Result<(), ProgramError>) + Send,
    ) -> Result<()> {
        let Self {
            netns,
            egress,
            ingress,
            ..
        } = self;
        let mut new = interfaces.to_vec();
        new.retain(|(index, _)| egress.has(*index) && !ingress.has(*index));
        if new.is_empty() {
            return Ok(());
        }
        netns
            .run(|| ingress.attach(&new, done))
            .with_context(|| no_entry(netns))
    }

    /// Detaches from the ingress of all interfaces but these.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn watch_arrivals_only_at(&mut self, interfaces: &[(IfIndex, String)]) -> Result<()> {
        let Self { netns, ingress, .. } = self;
        let wanted: BTreeSet<IfIndex> = interfaces.iter().map(|(index, _)| *index).collect();
        if ingress.interfaces().all(|index| wanted.contains(&index)) {
            return Ok(());
        }
        netns
            .run(|| ingress.detach(|index| wanted.contains(&index)))
            .with_context(|| no_entry(netns))
    }

    /// Forgets the interfaces that are gone, also those whose index another has by now; `there` are those that there are.
    /// Returns the indexes that are, or were, free.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn forget_gone(&mut self, there: &[(IfIndex, String)]) -> Result<Vec<IfIndex>> {
        let mut gone: Vec<IfIndex> = self.interfaces().collect();
        gone.retain(|index| there.iter().all(|(other, _)| other != index));
        let Self { netns, egress, .. } = self;
        let deserted = netns
            .run(|| egress.deserted(there))
            .with_context(|| no_entry(netns))?;
        gone.extend(deserted?);
        for &index in &gone {
            self.forget(index);
        }
        Ok(gone)
    }

    /// Detaches from all interfaces, also where it is to persist.
    pub fn detach(&mut self) {
        let Self {
            netns,
            egress,
            ingress,
            ..
        } = self;
        if egress.interfaces().next().is_none() {
            return;
        }
        // A netlink filter can only be detached inside its namespace. One that cannot be entered any more is gone, and
        // took its filters along.
        let _ = netns.run(|| {
            ingress.detach(|_| false);
            egress.detach(|_| false);
        });
    }

    /// Forgets an interface that is gone, and the programs' place with it. Returns whether it was audited.
    pub fn forget(&mut self, interface: IfIndex) -> bool {
        self.ingress.forget(interface);
        self.egress.forget(interface)
    }
}

impl Drop for NamespaceHooks {
    fn drop(&mut self) {
        if !(self.ingress.leave() & self.egress.leave()) {
            self.detach();
        }
    }
}

/// An interface of a namespace to which an auditor is attached that outlives its collectors, and is not the one that `own`
/// tells.
///
/// # Errors
///
/// When the namespace cannot be entered.
pub fn strangers(netns: &NetNs, own: Option<&Persist>) -> Result<Option<String>> {
    let mut ours = BTreeSet::new();
    if let Some(persist) = own {
        let pins = persist.pins();
        let here = pins
            .all()
            .into_iter()
            .filter(|pin| pin.netns == netns.cookie);
        ours.extend(here.filter_map(|pin| link::program_of(&pins.path_of(pin))));
    }
    let direction = Direction::Egress;
    let has_anothers_link = |name: &str| {
        let programs = SchedClassifier::query_tcx(name, direction.attach_type());
        programs.is_ok_and(|(_, programs)| {
            programs.iter().any(|program| {
                program.name_as_str() == Some(direction.lasting_program())
                    && !ours.contains(&program.id())
            })
        })
    };
    let mut filters = Vec::new();
    let linked = netns
        .run(|| {
            let interfaces = if_nameindex().ok()?;
            interfaces.iter().find_map(|interface| {
                let name = interface.name().to_string_lossy().into_owned();
                let lasting = filters::lasting(IfIndex(interface.index()), direction);
                filters.extend(lasting.into_iter().map(|program| (name.clone(), program)));
                has_anothers_link(&name).then_some(name)
            })
        })
        .with_context(|| no_entry(netns))?;
    if linked.is_some() || filters.is_empty() {
        return Ok(linked);
    }
    let owner = own.map(Persist::owner).unwrap_or_default();
    let strange = filters
        .into_iter()
        .find(|(_, program)| !owner.has(*program));
    Ok(strange.map(|(name, _)| name))
}

fn no_entry(netns: &NetNs) -> String {
    format!("the network namespace {} cannot be entered", netns.name)
}
