//! What comes before pinif at an interface: what it ends, pinif never sees.

use std::{collections::BTreeSet, io};

use aya::programs::{ProgramError, ProgramInfo, SchedClassifier, TcAttachType, tc::TcError};
use nix::{
    errno::Errno,
    net::if_::{if_indextoname, if_nameindex},
};
use pinif_ebpf::key::IfIndex;

use crate::{
    host::{gaps::Found, netns::NetNs},
    kernel::{
        ahead::Ahead,
        direction::TcDirection,
        filters::{self, OwnFilter},
    },
};

/// What others have at the egress of a namespace's interfaces, each with the interface's name; not auditors.
pub fn at_egress(netns: &NetNs) -> Found<(String, Ahead)> {
    let looked = netns.run(|| {
        let interfaces = if_nameindex().map_err(io::Error::from)?;
        let each = interfaces.iter().flat_map(|interface| {
            let name = interface.name().to_string_lossy().into_owned();
            let none = OwnFilter::of(TcDirection::Egress, false);
            before(name, IfIndex(interface.index()), 0, Some(none))
        });
        Ok(each.collect())
    });
    looked
        .and_then(|found| found)
        .unwrap_or_else(|error| vec![Err(error)])
}

/// What comes before a program and, where filters are looked at, a filter, at an interface that is called so.
/// Other auditors do not count: they let everything pass. In the calling thread's namespace.
pub(super) fn before<N: Clone>(
    name: N,
    interface: IfIndex,
    own: u32,
    filter: Option<OwnFilter>,
) -> Found<(N, Ahead)> {
    let look = || -> io::Result<BTreeSet<Ahead>> {
        // TCX comes before any filter.
        let mut all = BTreeSet::from_iter(programs(interface, own)?);
        if let Some(filter) = filter {
            all.extend(filters::ahead(interface, filter)?);
        }
        Ok(all)
    };
    match look() {
        Ok(all) => all.into_iter().map(|one| Ok((name.clone(), one))).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// The programs before this one; all of them, if it is not among them. None at an interface that is gone.
fn programs(interface: IfIndex, own: u32) -> io::Result<Vec<Ahead>> {
    let name = match if_indextoname(interface.0) {
        Err(Errno::ENXIO | Errno::ENODEV) => return Ok(Vec::new()),
        name => name?,
    };
    let name = name.to_string_lossy();
    let programs = match query(&name) {
        Ok(programs) => programs,
        Err(error) if says_none(&error) => return Ok(Vec::new()),
        Err(error) => {
            let text = format!("the programs at {name} cannot be listed: {error}");
            return Err(io::Error::other(text));
        }
    };
    let before = programs
        .into_iter()
        .take_while(|program| program.id() != own);
    let is_entry = |name: &str| TcDirection::Egress.is_entry(name);
    let others = before.filter(|program| !program.name_as_str().is_some_and(is_entry));
    let others = others.map(|program| Ahead::Program {
        id: program.id(),
        name: program.name_as_str().unwrap_or_default().to_owned(),
    });
    Ok(others.collect())
}

/// The programs of an interface, once more where one went while they were asked for.
fn query(interface: &str) -> Result<Vec<ProgramInfo>, ProgramError> {
    let query = || SchedClassifier::query_tcx(interface, TcAttachType::Egress);
    let (_, programs) = match query() {
        Err(error) if errno(&error) == Some(libc::ENOENT) => query(),
        answer => answer,
    }?;
    Ok(programs)
}

/// Whether an error says that there is none: the interface is gone, or the kernel has no TCX (`bpf_prog_query` in
/// kernel/bpf/syscall.c).
fn says_none(error: &ProgramError) -> bool {
    matches!(
        errno(error),
        Some(libc::ENODEV | libc::ENXIO | libc::EINVAL)
    )
}

fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::TcError(TcError::IoError(error)) | ProgramError::IOError(error) => {
            error.raw_os_error()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::*;

    #[test]
    fn a_refusal_is_not_taken_for_no_programs() {
        let failed = |errno| {
            ProgramError::SyscallError(SyscallError {
                call: "bpf_prog_query",
                io_error: io::Error::from_raw_os_error(errno),
            })
        };
        for errno in [libc::ENODEV, libc::EINVAL] {
            assert!(says_none(&failed(errno)), "{errno}");
        }
        for errno in [libc::EPERM, libc::ENOMEM, libc::ENOENT] {
            assert!(!says_none(&failed(errno)), "{errno}");
        }
        let gone = TcError::IoError(io::Error::from_raw_os_error(libc::ENODEV));
        assert!(says_none(&ProgramError::TcError(gone)));
    }
}
