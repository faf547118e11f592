//! The entry program of one direction of a namespace, and the interfaces that it is attached to.

use std::{collections::BTreeMap, io};

use anyhow::{Context as _, Result};
use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier,
    tc::{SchedClassifierLinkId, TcAttachOptions},
};
use nix::net::if_::if_indextoname;
use pinif_ebpf::key::IfIndex;

use super::{attach::Mode, direction::Direction, filters};

/// An entry program, and where it is attached. What attaches, detaches or looks runs in a thread of the namespace.
pub(super) struct Hook {
    direction: Direction,
    mode: Mode,
    program: SchedClassifier,
    links: BTreeMap<IfIndex, SchedClassifierLinkId>,
}

impl Hook {
    pub(super) fn new(direction: Direction, mode: Mode, program: SchedClassifier) -> Self {
        Self {
            direction,
            mode,
            program,
            links: BTreeMap::new(),
        }
    }

    pub(super) fn interfaces(&self) -> impl Iterator<Item = IfIndex> {
        self.links.keys().copied()
    }

    pub(super) fn has(&self, interface: IfIndex) -> bool {
        self.links.contains_key(&interface)
    }

    /// Attaches to interfaces, by the names that they have now; those that it has already are left alone. `done` hears of
    /// each, and what went wrong with it; not of one that is gone or has another name by now, of which there are news.
    pub(super) fn attach(
        &mut self,
        interfaces: &[(IfIndex, String)],
        mut done: impl FnMut(&str, Result<(), ProgramError>),
    ) {
        for (index, name) in interfaces {
            if self.has(*index) {
                continue;
            }
            let attached = match name_now(*index, name) {
                Name::Same => self.attach_one(*index, name),
                Name::NoText => Err(no_text()),
                Name::Another => continue,
            };
            // Another may have taken the name in between.
            match attached {
                Ok(link) if name_now(*index, name) != Name::Same => {
                    let _ = self.program.detach(link);
                }
                Ok(link) => {
                    self.links.insert(*index, link);
                    done(name, Ok(()));
                }
                Err(error) => done(name, Err(error)),
            }
        }
    }

    /// aya attaches by name, in the calling thread's namespace.
    fn attach_one(
        &mut self,
        interface: IfIndex,
        name: &str,
    ) -> Result<SchedClassifierLinkId, ProgramError> {
        let options = match self.mode {
            // First, since a program before ours could end the run.
            Mode::Tcx => TcAttachOptions::TcxOrder(LinkOrder::first()),
            Mode::Clsact => {
                TcAttachOptions::Netlink(filters::make_way(interface, name, self.direction)?)
            }
        };
        let attach_type = self.direction.attach_type();
        self.program.attach_with_options(name, attach_type, options)
    }

    /// The number of the entry program.
    pub(super) fn id(&self) -> Result<u32, ProgramError> {
        self.program.info().map(|program| program.id())
    }

    /// Those of the interfaces that it was attached to and is not any more: another has their index by now.
    pub(super) fn deserted(&self, there: &[(IfIndex, String)]) -> Result<Vec<IfIndex>> {
        let id = self
            .id()
            .context("the program cannot be asked for its id")?;
        let held = there.iter().filter(|(index, _)| self.has(*index));
        Ok(held
            .filter(|(index, name)| match self.mode {
                Mode::Tcx => !self.is_attached(id, name),
                Mode::Clsact => !filters::is_attached(*index, self.direction),
            })
            .map(|(index, _)| *index)
            .collect())
    }

    /// Whether the program with this id is among those that the interface has. Where that cannot be told, it is taken to be.
    fn is_attached(&self, id: u32, interface: &str) -> bool {
        match SchedClassifier::query_tcx(interface, self.direction.attach_type()) {
            Ok((_, programs)) => programs.iter().any(|program| program.id() == id),
            Err(_) => true,
        }
    }

    /// Detaches from those interfaces that are not to be `kept`.
    pub(super) fn detach(&mut self, kept: impl Fn(IfIndex) -> bool) {
        let mut gone: Vec<IfIndex> = self.interfaces().collect();
        gone.retain(|index| !kept(*index));
        for index in gone {
            if let Some(link) = self.links.remove(&index) {
                // The device may be gone, and the link with it.
                let _ = self.program.detach(link);
            }
        }
    }

    /// Forgets an interface that is gone, and the program's place with it. Returns whether it was attached there.
    pub(super) fn forget(&mut self, interface: IfIndex) -> bool {
        let Some(link) = self.links.remove(&interface) else {
            return false;
        };
        match self.mode {
            // The device took its link along; the descriptor is closed here.
            Mode::Tcx => drop(self.program.take_link(link)),
            // The qdisc went with the device. Detaching would hit another that has its index by now.
            Mode::Clsact => std::mem::forget(self.program.take_link(link)),
        }
        true
    }
}

/// What an interface is called now, compared with what it was called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The same.
    Same,
    /// Something that is no text, and therefore was shown as something else.
    NoText,
    /// Something else; or it is gone.
    Another,
}

/// In the calling thread's namespace.
fn name_now(index: IfIndex, name: &str) -> Name {
    match if_indextoname(index.0) {
        Ok(now) if now.to_bytes() == name.as_bytes() => Name::Same,
        Ok(now) if now.to_str().is_err() => Name::NoText,
        Ok(_) | Err(_) => Name::Another,
    }
}

fn no_text() -> ProgramError {
    ProgramError::IOError(io::Error::new(
        io::ErrorKind::InvalidInput,
        "its name is not UTF-8; rename it",
    ))
}
