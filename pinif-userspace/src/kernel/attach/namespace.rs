//! The entry programs of one network namespace at its interfaces.

use std::{collections::BTreeSet, io};

use anyhow::{Context as _, Result};
use aya::programs::ProgramError;
use pinif_ebpf::key::IfIndex;

use super::ahead;
use crate::{
    host::{gaps::Found, netns::NetNs},
    kernel::{
        ahead::Ahead,
        direction::TcDirection,
        entry::Entries,
        hook::{Hook, TakenPlace},
        mode::Mode,
        persist::{self, Owner, Pins},
    },
};

/// What was found where a program was attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The interface.
    pub interface: IfIndex,
    /// Which of its hooks.
    pub direction: TcDirection,
    /// The program is there.
    pub is_attached: bool,
    /// What is asked before it: the numbers of programs, and the places of filters.
    pub before: Vec<u32>,
}

/// The entry programs of one namespace, and where they are attached.
pub struct NamespaceHooks {
    netns: NetNs,
    mode: Mode,
    egress: Hook,
    /// What arrives is looked at where a policy can find something amiss with it.
    ingress: Hook,
}

/// What was attached to the interfaces of a namespace, apart from its hooks.
pub struct Taken {
    netns: NetNs,
    places: Vec<TakenPlace>,
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
            egress: hook(TcDirection::Egress)?,
            ingress: hook(TcDirection::Ingress)?,
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

    /// Those of the interfaces at which a previous instance's program is still: they are the ones that it knew.
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
    pub fn holds(&self, interface: IfIndex, direction: TcDirection) -> bool {
        match direction {
            TcDirection::Egress => self.egress.has(interface),
            TcDirection::Ingress => self.ingress.has(interface),
        }
    }

    /// Removes the filters that a previous instance of this auditor has left at interfaces which are not audited any more.
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
    /// `done` is called for each, with what went wrong; not for one that is gone or has another name by now, for which a
    /// netlink event comes.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered. An interface that refuses is `done`'s to report.
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

    /// Where what arrives is watched, but at these interfaces.
    pub fn arrivals_watched_but_at(&self, wanted: &[(IfIndex, String)]) -> Vec<IfIndex> {
        let wanted: BTreeSet<IfIndex> = wanted.iter().map(|(index, _)| *index).collect();
        let watched = self.ingress.interfaces();
        watched.filter(|index| !wanted.contains(index)).collect()
    }

    /// Detaches from the ingress of these interfaces.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn cease_to_watch_arrivals(&mut self, interfaces: &[IfIndex]) -> Result<()> {
        let Self { netns, ingress, .. } = self;
        netns
            .run(|| interfaces.iter().for_each(|index| ingress.detach(*index)))
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

    /// Looks whether the programs are where they were attached to, and for something else in the namespace.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered, or a program cannot be asked for its number.
    pub fn look<T: Send>(&self, also: impl FnOnce() -> T + Send) -> Result<(Vec<Looked>, T)> {
        let Self {
            netns,
            egress,
            ingress,
            ..
        } = self;
        let look = |hook: &Hook, direction| -> Result<Vec<Looked>> {
            let looked = hook.look()?.into_iter();
            Ok(looked
                .map(|(interface, presence)| Looked {
                    interface,
                    direction,
                    // Where it is unknown, it is taken to be there.
                    is_attached: presence.as_ref().map_or(true, |it| it.is_attached),
                    before: presence.map_or_else(|_| Vec::new(), |it| it.before),
                })
                .collect())
        };
        netns
            .visit(|| {
                let mut looked = look(egress, TcDirection::Egress)?;
                looked.extend(look(ingress, TcDirection::Ingress)?);
                Ok((looked, also()))
            })
            .with_context(|| no_entry(netns))?
    }

    /// Attaches to an interface again where the program was removed. `None`, where the interface is gone or has another name by
    /// now, for which a netlink event comes.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered, or the kernel refuses.
    pub fn attach_again(
        &mut self,
        interface: IfIndex,
        name: &str,
        direction: TcDirection,
    ) -> Result<Option<()>> {
        let Self {
            netns,
            egress,
            ingress,
            ..
        } = self;
        let hook = match direction {
            TcDirection::Egress => egress,
            TcDirection::Ingress => ingress,
        };
        netns
            .run(|| Ok(hook.attach_again(interface, name).transpose()?))
            .with_context(|| no_entry(netns))?
    }

    /// How many programs are attached to interfaces.
    pub fn programs(&self) -> usize {
        self.egress.interfaces().count() + self.ingress.interfaces().count()
    }

    /// Detaches from all interfaces, also where it is to persist.
    pub fn detach(&mut self) {
        self.take().detach_each(|| {});
    }

    /// Takes what is attached to interfaces, to be detached apart from these hooks, which have none from now on; also where it is to persist.
    pub fn take(&mut self) -> Taken {
        // While what leaves is seen, it is known what arrived.
        let mut places = self.ingress.take();
        places.extend(self.egress.take());
        Taken {
            netns: self.netns.clone(),
            places,
        }
    }

    /// What is before pinif at each of the interfaces that it is attached to. Other auditors do not count: they let
    /// everything pass.
    pub fn ahead(&self) -> Found<(IfIndex, Ahead)> {
        let own = match self.egress.id() {
            Ok(own) => own,
            Err(error) => return vec![Err(io::Error::other(error))],
        };
        let own_filter = (self.mode == Mode::Clsact).then(|| self.egress.own_filter());
        let interfaces: Vec<IfIndex> = self.interfaces().collect();
        let looked = self.netns.run(|| {
            let each = interfaces.into_iter();
            each.flat_map(|index| ahead::before(index, index, own, own_filter))
                .collect()
        });
        looked.unwrap_or_else(|error| vec![Err(error)])
    }

    /// Forgets an interface that is gone, and the programs' place with it. Returns whether it was audited.
    pub fn forget(&mut self, interface: IfIndex) -> bool {
        self.ingress.forget(interface);
        self.egress.forget(interface)
    }
}

impl Taken {
    /// Detaches all; `done` is called after each program.
    pub fn detach_each(self, mut done: impl FnMut() + Send) {
        let Self { netns, mut places } = self;
        if places.is_empty() {
            return;
        }
        // A netlink filter can only be detached inside its namespace. One that cannot be entered any more is gone, and
        // took its filters along.
        let _ = netns.run(|| {
            for place in places.drain(..) {
                drop(place);
                done();
            }
        });
        // Elsewhere, somebody else's filter would be detached.
        places.into_iter().for_each(TakenPlace::abandon);
    }
}

impl Drop for NamespaceHooks {
    fn drop(&mut self) {
        if !(self.ingress.leave() & self.egress.leave()) {
            self.detach();
        }
    }
}

pub(super) fn no_entry(netns: &NetNs) -> String {
    format!("the network namespace {} cannot be entered", netns.name)
}
