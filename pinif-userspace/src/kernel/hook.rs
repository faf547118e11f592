//! The entry program of one direction of a namespace, and the interfaces that it is attached to.

use std::{collections::BTreeMap, fs, io, os::fd::OwnedFd, path::PathBuf};

use anyhow::{Context as _, Result};
use aya::{
    programs::{
        ProgramError, SchedClassifier,
        tc::{SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions},
    },
    sys::SyscallError,
};
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{
    direction::TcDirection,
    filters::{self, FilterPlace, OwnFilter},
    mode::Mode,
    persist::{Pins, link},
    syscall,
};
use crate::host::netdevice::{self, NetDevice};

/// What an interface has at the hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Presence {
    /// The program is attached.
    pub(in crate::kernel) is_attached: bool,
    /// What is asked before it: the numbers of programs, and the places of filters.
    pub(in crate::kernel) before: Vec<u32>,
}

/// An entry program, and where it is attached. What attaches, detaches or looks runs in a thread of the namespace.
pub(super) struct Hook {
    netns: NetNsCookie,
    direction: TcDirection,
    mode: Mode,
    program: SchedClassifier,
    places: BTreeMap<IfIndex, Place>,
    /// Where links are pinned that are to outlive this process.
    pins: Option<Pins>,
}

/// What holds the program at an interface.
enum Place {
    /// A link that goes with this process.
    Link(OwnedFd),
    /// A filter.
    Filter(SchedClassifierLinkId),
    /// A link that is pinned here.
    Pin(PathBuf),
    /// Nothing: it was removed, and the kernel refuses to attach it again.
    Removed,
}

/// What holds the program at an interface, apart from its hook. The program is detached as this is dropped, which must be in a thread of the
/// namespace: of a filter, that is a request there. The device may be gone, and the link with it.
#[expect(dead_code, reason = "they are held, not read")]
pub(super) enum TakenPlace {
    /// A link.
    Link(OwnedFd),
    /// A filter.
    Filter(SchedClassifierLink),
    /// A link that is pinned here.
    Pin(PathBuf),
}

impl TakenPlace {
    /// Leaves a filter where it is: this is no thread of its namespace.
    pub(super) fn abandon(self) {
        if let Self::Filter(_) = self {
            std::mem::forget(self);
        }
    }
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        if let Self::Pin(pin) = self {
            let _ = fs::remove_file(pin);
        }
    }
}

impl Hook {
    pub(super) fn new(
        netns: NetNsCookie,
        direction: TcDirection,
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

    /// Attaches to interfaces, by the names that they have now; those that it has already are left alone. `done` is called
    /// for each, with what went wrong; not for one that is gone or has another name by now, for which a netlink event comes.
    pub(super) fn attach(
        &mut self,
        interfaces: &[(IfIndex, String)],
        mut done: impl FnMut(&str, Result<(), ProgramError>),
    ) {
        let missing = |(index, _): &&(IfIndex, String)| !self.has(*index);
        let missing: Vec<_> = interfaces.iter().filter(missing).collect();
        let now = match NetDevice::open() {
            Ok(now) => now,
            // There are too many descriptors, perhaps: each is reported as not audited, and the rest goes on.
            Err(error) => {
                for (_, name) in missing {
                    let error = io::Error::new(error.kind(), error.to_string());
                    done(name, Err(error.into()));
                }
                return;
            }
        };
        for (index, name) in missing {
            let attached = match name_now(&now, *index, name) {
                Name::Same => self.attach_one(*index, name),
                Name::NoText => Err(no_text()),
                Name::Another => continue,
            };
            // Another may have taken the name in between.
            match attached {
                Ok(place) if name_now(&now, *index, name) != Name::Same => self.detach_from(place),
                Ok(place) => {
                    self.places.insert(*index, place);
                    done(name, Ok(()));
                }
                // It went meanwhile, and another may have come with its name.
                Err(_) if name_now(&now, *index, name) == Name::Another => {}
                Err(error) => done(name, Err(error)),
            }
        }
    }

    /// The same for one where it was removed; none, where `done` would not be called. It stays known as attached where the kernel
    /// refuses, so that it is tried again.
    pub(super) fn attach_again(
        &mut self,
        interface: IfIndex,
        name: &str,
    ) -> Option<Result<(), ProgramError>> {
        let removed = self.places.remove(&interface)?;
        self.abandon(removed);
        let mut outcome = None;
        self.attach(&[(interface, name.to_owned())], |_, attached| {
            outcome = Some(attached);
        });
        self.places.entry(interface).or_insert(Place::Removed);
        outcome
    }

    fn attach_one(&mut self, interface: IfIndex, name: &str) -> Result<Place, ProgramError> {
        match self.mode {
            Mode::Tcx => self.link(interface, name),
            Mode::Clsact => self.filter(interface, name).map(Place::Filter),
        }
    }

    /// By index: aya attaches by name alone, and asks for the index each time by a socket that it closes, which makes the
    /// kernel wait for twice as long ([`NetDevice`]).
    fn link(&mut self, interface: IfIndex, name: &str) -> Result<Place, ProgramError> {
        if let Some(pin) = self.adopt(interface, name) {
            return Ok(Place::Pin(pin));
        }
        // First, since a program before ours could end the run.
        let (place, first) = (self.direction.tcx(), syscall::BPF_F_BEFORE);
        let link = syscall::link(self.program.fd()?, interface.0, place, first);
        let link = link.map_err(|io_error| SyscallError {
            call: "bpf_link_create",
            io_error,
        })?;
        let Some(pin) = self.pin_of(interface) else {
            return Ok(Place::Link(link));
        };
        // Over that of an interface that is gone, perhaps.
        link::pin(&link, &pin)?;
        Ok(Place::Pin(pin))
    }

    /// aya attaches by name, in the calling thread's namespace.
    fn filter(
        &mut self,
        interface: IfIndex,
        name: &str,
    ) -> Result<SchedClassifierLinkId, ProgramError> {
        match filters::prepare_place(interface, name, self.own_filter())? {
            FilterPlace::Free(options) => self.program.attach_with_options(
                name,
                self.direction.attach_type(),
                TcAttachOptions::Netlink(options),
            ),
            FilterPlace::Taken(before) => self.program.attach_to_link(before),
        }
    }

    /// Where the interface's link is, or would be, pinned.
    fn pin_of(&self, interface: IfIndex) -> Option<PathBuf> {
        let pins = self.pins.as_ref().filter(|_| self.mode == Mode::Tcx)?;
        Some(pins.path(self.netns, interface, self.direction))
    }

    /// Takes over what a previous instance has attached to the interface.
    fn adopt(&mut self, interface: IfIndex, name: &str) -> Option<PathBuf> {
        let pin = self.pin_of(interface)?;
        link::adopt(&mut self.program, &pin, name, self.direction.attach_type()).then_some(pin)
    }

    /// This auditor's filter, where programs are attached by filters.
    pub(super) fn own_filter(&self) -> OwnFilter {
        OwnFilter::of(self.direction, self.pins.is_some())
    }

    /// Whether what a previous instance has attached to the interface is there still: it is the same interface then.
    pub(super) fn was_left_at(&self, interface: IfIndex, name: &str) -> bool {
        match self.mode {
            Mode::Tcx => self
                .pin_of(interface)
                .is_some_and(|pin| link::is_at(&pin, name, self.direction.attach_type())),
            Mode::Clsact => !filters::lasting(interface, self.direction).is_empty(),
        }
    }

    /// The number of the entry program.
    pub(super) fn id(&self) -> Result<u32, ProgramError> {
        self.program.info().map(|program| program.id())
    }

    /// Looks whether the program is where it was attached to, at each of the interfaces that are still there.
    ///
    /// # Errors
    ///
    /// When the program cannot be asked for its number.
    pub(super) fn look(&self) -> Result<Vec<(IfIndex, io::Result<Presence>)>> {
        let id = self
            .id()
            .context("the program cannot be asked for its id")?;
        let looked = self.interfaces().map(|index| (index, self.at(index, id)));
        let is_gone = |looked: &io::Result<Presence>| {
            looked.as_ref().is_err_and(|error| {
                matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
            })
        };
        Ok(looked.filter(|(_, looked)| !is_gone(looked)).collect())
    }

    fn at(&self, interface: IfIndex, id: u32) -> io::Result<Presence> {
        let programs = match syscall::programs_at(interface.0, self.direction.tcx()) {
            // The kernel has no TCX.
            Err(error)
                if self.mode == Mode::Clsact && error.raw_os_error() == Some(libc::EINVAL) =>
            {
                Vec::new()
            }
            programs => programs?,
        };
        let before = programs.iter().take_while(|program| **program != id);
        let mut presence = Presence {
            is_attached: programs.contains(&id),
            before: before.copied().collect(),
        };
        if self.mode == Mode::Clsact {
            let (is_attached, filters) = filters::presence(interface, self.own_filter(), id)?;
            presence.is_attached = is_attached;
            presence.before.extend(filters.into_iter().map(u32::from));
        }
        Ok(presence)
    }

    /// Those of the interfaces that it was attached to and is not any more: another has their index by now. Where that is
    /// unknown, it is taken to be.
    pub(super) fn deserted(&self, there: &[(IfIndex, String)]) -> Result<Vec<IfIndex>> {
        let looked = self.look()?.into_iter();
        let deserted = looked.filter(|(_, looked)| {
            let presence = looked.as_ref();
            presence.is_ok_and(|presence| !presence.is_attached)
        });
        let mut deserted: Vec<IfIndex> = deserted.map(|(index, _)| index).collect();
        deserted.retain(|index| there.iter().any(|(other, _)| other == index));
        Ok(deserted)
    }

    /// Detaches from an interface.
    pub(super) fn detach(&mut self, interface: IfIndex) {
        if let Some(place) = self.places.remove(&interface) {
            self.detach_from(place);
        }
    }

    /// Gives away what holds the program at every interface.
    pub(super) fn take(&mut self) -> Vec<TakenPlace> {
        let all = std::mem::take(&mut self.places).into_values();
        all.filter_map(|place| self.taken(place)).collect()
    }

    fn detach_from(&mut self, place: Place) {
        drop(self.taken(place));
    }

    fn taken(&mut self, place: Place) -> Option<TakenPlace> {
        match place {
            Place::Link(link) => Some(TakenPlace::Link(link)),
            Place::Filter(filter) => self.program.take_link(filter).ok().map(TakenPlace::Filter),
            Place::Pin(pin) => Some(TakenPlace::Pin(pin)),
            Place::Removed => None,
        }
    }

    /// Leaves all as it is, for the next instance. Whether there is to be one.
    pub(super) fn leave(&mut self) -> bool {
        if !self.pins.as_ref().is_some_and(Pins::keeps) {
            return false;
        }
        for place in std::mem::take(&mut self.places).into_values() {
            if let Place::Filter(filter) = place {
                // It stays unless it is removed.
                std::mem::forget(self.program.take_link(filter));
            }
        }
        true
    }

    /// Forgets an interface that is gone, and the program's place with it. Returns whether it was attached there.
    pub(super) fn forget(&mut self, interface: IfIndex) -> bool {
        let Some(place) = self.places.remove(&interface) else {
            return false;
        };
        match place {
            // The device took its link along: the pin is removed.
            pin @ Place::Pin(_) => self.detach_from(pin),
            place => self.abandon(place),
        }
        true
    }

    /// Forgets a place where the program is not any more.
    fn abandon(&mut self, place: Place) {
        match place {
            // The qdisc went with the device, or was removed. Detaching would hit another filter in its place by now.
            Place::Filter(filter) => std::mem::forget(self.program.take_link(filter)),
            // The descriptor is closed; where a link was pinned, another is by now.
            Place::Link(_) | Place::Pin(_) | Place::Removed => {}
        }
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

fn name_now(now: &NetDevice, index: IfIndex, name: &str) -> Name {
    let Some(now) = now.name_of(index) else {
        return Name::Another;
    };
    let now = netdevice::bytes(&now);
    if now == name.as_bytes() {
        Name::Same
    } else if std::str::from_utf8(now).is_err() {
        Name::NoText
    } else {
        Name::Another
    }
}

fn no_text() -> ProgramError {
    ProgramError::IOError(io::Error::new(
        io::ErrorKind::InvalidInput,
        "its name is not UTF-8; rename it",
    ))
}
