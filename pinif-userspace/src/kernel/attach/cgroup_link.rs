//! One hook of a cgroup, and the link that attaches it: held by this process, or pinned for the next one.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use aya::programs::ProgramFd;

use crate::kernel::{persist::link, syscall};

/// A hook's program.
pub(super) struct Hook {
    /// Its name.
    pub(super) name: &'static str,
    /// Its number in `enum bpf_attach_type`.
    pub(super) attach_type: u32,
    /// It, loaded.
    pub(super) program: ProgramFd,
}

/// A hook that was attached to a cgroup.
pub(super) struct CgroupLink {
    hook: Hook,
    /// The number of the cgroup.
    cgroup: u64,
    /// The number of the program.
    program: u32,
    place: Place,
}

enum Place {
    /// It goes with this process.
    Held(OwnedFd),
    /// It is pinned here.
    Pinned(PathBuf),
}

impl CgroupLink {
    /// Attaches a hook to a cgroup; one that is to be pinned takes the place of a previous instance's at the cgroup with this number.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(super) fn attach(
        hook: Hook,
        directory: &File,
        pin: Option<(PathBuf, u64)>,
    ) -> io::Result<Self> {
        let (place, (cgroup, program)) = match pin {
            Some((pin, cgroup)) => {
                let program = hook.program.as_fd();
                if !link::update(&program, &pin, cgroup) {
                    link::create(&program, directory, hook.attach_type, &pin)?;
                }
                let target = link::target(&syscall::pinned(&pin)?)?;
                (Place::Pinned(pin), target)
            }
            None => {
                let held = hold(&hook, directory)?;
                let target = link::target(&held)?;
                (Place::Held(held), target)
            }
        };
        Ok(Self {
            hook,
            cgroup,
            program,
            place,
        })
    }

    /// The name of the hook's program.
    pub(super) fn name(&self) -> &'static str {
        self.hook.name
    }

    /// Whether the link is there and attaches the program to the cgroup. Where that is unknown, it is taken to be.
    pub(super) fn is_attached(&self) -> bool {
        let target = match &self.place {
            Place::Held(held) => link::target(held),
            Place::Pinned(pin) => match syscall::pinned(pin) {
                Ok(pinned) => link::target(&pinned),
                Err(error) => return error.kind() != io::ErrorKind::NotFound,
            },
        };
        target.map_or(true, |target| target == (self.cgroup, self.program))
    }

    /// Detaches the hook.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(super) fn detach(self) -> io::Result<()> {
        match &self.place {
            Place::Held(held) => syscall::detach(held),
            Place::Pinned(pin) => link::remove(pin),
        }
    }

    /// Attaches the hook by a new link.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(super) fn attach_again(&mut self, directory: &File) -> io::Result<()> {
        match &mut self.place {
            Place::Held(held) => *held = hold(&self.hook, directory)?,
            Place::Pinned(pin) => {
                let program = self.hook.program.as_fd();
                link::create(&program, directory, self.hook.attach_type, pin)?;
            }
        }
        Ok(())
    }
}

fn hold(hook: &Hook, directory: &File) -> io::Result<OwnedFd> {
    let cgroup = directory.as_raw_fd().cast_unsigned();
    syscall::link(&hook.program, cgroup, hook.attach_type, 0)
}
