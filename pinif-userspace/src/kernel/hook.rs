//! The entry program of one direction of a namespace, and the interfaces that it is attached to.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use anyhow::{Context as _, Result};
use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier,
    links::FdLink,
    tc::{SchedClassifierLinkId, TcAttachOptions},
};
use nix::net::if_::if_indextoname;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{
    attach::Mode,
    direction::Direction,
    filters::{self, Way},
    persist::{Pins, link},
};

/// An entry program, and where it is attached. What attaches, detaches or looks runs in a thread of the namespace.
pub(super) struct Hook {
    netns: NetNsCookie,
    direction: Direction,
    mode: Mode,
    program: SchedClassifier,
    places: BTreeMap<IfIndex, Place>,
    /// Where links are pinned that are to outlive this process.
    pins: Option<Pins>,
}

/// What holds the program at an interface.
enum Place {
    /// A link of this process, or a filter.
    Link(SchedClassifierLinkId),
    /// A link that is pinned here.
    Pin(PathBuf),
}

impl Hook {
    pub(super) fn new(
        netns: NetNsCookie,
        direction: Direction,
        mode: Mode,
        program: SchedClassifier,
        pins: Option<Pins>,
    ) -> Self {
        Self {
            netns,
            direction,
            mode,
            program,
            places: BTreeMap::new(),
            pins,
        }
    }

    pub(super) fn interfaces(&self) -> impl Iterator<Item = IfIndex> {
        self.places.keys().copied()
    }

    pub(super) fn has(&self, interface: IfIndex) -> bool {
        self.places.contains_key(&interface)
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
                Ok(place) if name_now(*index, name) != Name::Same => self.detach_from(place),
                Ok(place) => {
                    self.places.insert(*index, place);
                    done(name, Ok(()));
                }
                Err(error) => done(name, Err(error)),
            }
        }
    }

    /// aya attaches by name, in the calling thread's namespace.
    fn attach_one(&mut self, interface: IfIndex, name: &str) -> Result<Place, ProgramError> {
        let attach_type = self.direction.attach_type();
        let options = match self.mode {
            Mode::Tcx => {
                if let Some(pin) = self.adopt(interface, name) {
                    return Ok(Place::Pin(pin));
                }
                // First, since a program before ours could end the run.
                TcAttachOptions::TcxOrder(LinkOrder::first())
            }
            Mode::Clsact => match filters::make_way(interface, name, self.own_filter())? {
                Way::Free(options) => TcAttachOptions::Netlink(options),
                Way::Taken(before) => return self.program.attach_to_link(before).map(Place::Link),
            },
        };
        let link = self
            .program
            .attach_with_options(name, attach_type, options)?;
        match self.pin_of(interface) {
            Some(pin) => self.pin(link, pin),
            None => Ok(Place::Link(link)),
        }
    }

    /// Where the interface's link is, or would be, pinned.
    fn pin_of(&self, interface: IfIndex) -> Option<PathBuf> {
        let pins = self.pins.as_ref().filter(|_| self.mode == Mode::Tcx)?;
        Some(pins.path(self.netns, interface, self.direction))
    }

    /// Takes over what an earlier life has attached to the interface.
    fn adopt(&mut self, interface: IfIndex, name: &str) -> Option<PathBuf> {
        let pin = self.pin_of(interface)?;
        link::adopt(&mut self.program, &pin, name, self.direction.attach_type()).then_some(pin)
    }

    fn pin(&mut self, link: SchedClassifierLinkId, pin: PathBuf) -> Result<Place, ProgramError> {
        let link = FdLink::try_from(self.program.take_link(link)?).map_err(io::Error::other)?;
        // Over that of an interface that is gone, perhaps.
        link::pin(link, &pin)?;
        Ok(Place::Pin(pin))
    }

    /// This auditor's filter, where programs are attached by filters.
    pub(super) fn own_filter(&self) -> filters::Own {
        filters::Own::of(self.direction, self.pins.is_some())
    }

    /// Whether what an earlier life has attached to the interface is there still: it is the same interface then.
    pub(super) fn was_left_at(&self, interface: IfIndex, name: &str) -> bool {
        match self.mode {
            Mode::Tcx => self
                .pin_of(interface)
                .is_some_and(|pin| link::is_at(&pin, name, self.direction.attach_type())),
            Mode::Clsact => filters::has_lasting(interface, self.direction),
        }
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
                Mode::Clsact => !filters::is_attached(*index, self.own_filter()),
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
            if let Some(place) = self.places.remove(&index) {
                self.detach_from(place);
            }
        }
    }

    fn detach_from(&mut self, place: Place) {
        // The device may be gone, and the link with it.
        match place {
            Place::Link(link) => {
                let _ = self.program.detach(link);
            }
            Place::Pin(pin) => {
                let _ = fs::remove_file(pin);
            }
        }
    }

    /// Leaves all as it is, for the next life. Whether there is to be one.
    pub(super) fn leave(&mut self) -> bool {
        if !self.pins.as_ref().is_some_and(Pins::keeps) {
            return false;
        }
        for place in std::mem::take(&mut self.places).into_values() {
            if let Place::Link(link) = place {
                // A filter stays unless it is removed.
                std::mem::forget(self.program.take_link(link));
            }
        }
        true
    }

    /// Forgets an interface that is gone, and the program's place with it. Returns whether it was attached there.
    pub(super) fn forget(&mut self, interface: IfIndex) -> bool {
        let Some(place) = self.places.remove(&interface) else {
            return false;
        };
        match (place, self.mode) {
            // The device took its link along; the descriptor is closed here.
            (Place::Link(link), Mode::Tcx) => drop(self.program.take_link(link)),
            // The qdisc went with the device. Detaching would hit another that has its index by now.
            (Place::Link(link), Mode::Clsact) => std::mem::forget(self.program.take_link(link)),
            (pin @ Place::Pin(_), _) => self.detach_from(pin),
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
