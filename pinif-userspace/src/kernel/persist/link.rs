//! Pinned links (bpf(2)): taken over from a previous instance, each in one step, so that no packet and no socket falls between two programs.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::Path,
};

use aya::programs::{
    ProgramError, SchedClassifier, TcAttachType,
    links::{FdLink, PinnedLink},
    tc::SchedClassifierLink,
};

use crate::kernel::syscall;

const BPF_LINK_UPDATE: u32 = 29;

/// How the name ends of a link that is about to take the place of another.
pub(super) const NEW: &str = "-new";

/// `link_update` of `union bpf_attr`.
#[repr(C)]
struct UpdateAttributes {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
}

/// The beginning of `struct bpf_link_info`, of a cgroup's.
#[repr(C)]
#[derive(Default)]
struct CgroupInfo {
    kind: u32,
    id: u32,
    program: u32,
    _pad: u32,
    cgroup: u64,
    attach_type: u32,
    _rest: u32,
}

/// Pins a link in a place where nothing is, or something that is of no use any more.
///
/// # Errors
///
/// The kernel's.
pub(in crate::kernel) fn pin(link: &OwnedFd, path: &Path) -> io::Result<()> {
    let _ = fs::remove_file(path);
    syscall::pin(link, path)
}

/// Attaches a program to a cgroup by a link that is pinned here. Where another one is, that is detached afterwards: at no time
/// there is none. aya has no way to pin the links of all of these programs.
///
/// # Errors
///
/// The kernel's.
pub(in crate::kernel) fn create(
    program: &impl AsFd,
    cgroup: &File,
    attach_type: u32,
    path: &Path,
) -> io::Result<()> {
    let cgroup = cgroup.as_raw_fd().cast_unsigned();
    let link = syscall::link(program, cgroup, attach_type, 0)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!("{name}{NEW}"));
    syscall::pin(&link, &new)?;
    fs::rename(&new, path)
}

/// Puts a program into the pinned link of an interface, if a previous instance's is attached there. Within the interface's
/// namespace.
pub(in crate::kernel) fn adopt(
    program: &mut SchedClassifier,
    path: &Path,
    interface: &str,
    attach_type: TcAttachType,
) -> bool {
    if !is_at(path, interface, attach_type) {
        return false;
    }
    let adopted = PinnedLink::from_pin(path)
        .and_then(|pinned| SchedClassifierLink::try_from(FdLink::from(pinned)))
        .map_err(|error| ProgramError::IOError(io::Error::other(error)))
        .and_then(|link| program.attach_to_link(link))
        .and_then(|link| program.take_link(link));
    // The descriptor alone is closed here: the pin stays.
    adopted.map(drop).is_ok()
}

/// Whether the pinned link is at this interface, and not at one that is gone and had its index, or has been moved to another
/// namespace. Within the interface's namespace.
pub(in crate::kernel) fn is_at(path: &Path, interface: &str, attach_type: TcAttachType) -> bool {
    let Some(id) = program_of(path) else {
        return false;
    };
    SchedClassifier::query_tcx(interface, attach_type)
        .is_ok_and(|(_, programs)| programs.iter().any(|program| program.id() == id))
}

/// The number of the program of a pinned link.
pub(in crate::kernel) fn program_of(path: &Path) -> Option<u32> {
    let link = FdLink::from(PinnedLink::from_pin(path).ok()?);
    link.info().ok().map(|info| info.program_id())
}

/// Puts a program into the pinned link of a cgroup, if that is attached to the cgroup with this id.
pub(in crate::kernel) fn update(program: &impl AsFd, path: &Path, cgroup: u64) -> bool {
    let Ok(link) = syscall::pinned(path) else {
        return false;
    };
    if target(&link).ok().map(|(cgroup, _)| cgroup) != Some(cgroup) {
        return false;
    }
    let mut attributes = UpdateAttributes {
        link: link.as_raw_fd().cast_unsigned(),
        program: program.as_fd().as_raw_fd().cast_unsigned(),
        flags: 0,
        old_program: 0,
    };
    // SAFETY: the attributes are those of the command, and point nowhere.
    unsafe { syscall::bpf(BPF_LINK_UPDATE, &mut attributes) }.is_ok()
}

/// Detaches a pinned link and removes the pin, if there is one.
///
/// # Errors
///
/// The kernel's.
pub(in crate::kernel) fn remove(path: &Path) -> io::Result<()> {
    match syscall::pinned(path) {
        Ok(link) => syscall::detach(&link).and_then(|()| fs::remove_file(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The number of the cgroup that a link is attached to, zero where that is gone or it was detached; and that of its program.
///
/// # Errors
///
/// The kernel's.
pub(in crate::kernel) fn target(link: &OwnedFd) -> io::Result<(u64, u32)> {
    let mut info = CgroupInfo::default();
    // SAFETY: it is a link of a cgroup hook, and the structure points nowhere.
    unsafe { syscall::info(link, &mut info) }?;
    Ok((info.cgroup, info.program))
}
