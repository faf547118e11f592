//! What other owners have at the interfaces of a network namespace: what ends a packet's way there, pinif never sees.

use std::io;

use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use nix::net::if_::{if_indextoname, if_nameindex};
use pinif_ebpf::key::IfIndex;

use crate::{
    host::netns::NetNs,
    kernel::{
        ahead::Ahead,
        direction::Direction,
        filters::{self, OwnFilter},
    },
};

/// What others have at the egress of a namespace's interfaces, each with the interface's name; not auditors.
///
/// # Errors
///
/// When the namespace cannot be entered.
pub fn at_egress(netns: &NetNs) -> io::Result<Vec<(String, Vec<Ahead>)>> {
    netns.run(|| {
        let interfaces = if_nameindex().map_err(io::Error::from)?;
        let found = interfaces.iter().filter_map(|interface| {
            let index = IfIndex(interface.index());
            let none = OwnFilter::of(Direction::Egress, false);
            let mut there = before(index, 0, Some(none));
            there.dedup();
            let name = interface.name().to_string_lossy().into_owned();
            (!there.is_empty()).then_some((name, there))
        });
        Ok(found.collect())
    })?
}

/// What is before this auditor's program, by its number, and before its filter where it is attached by one; all that there is, if
/// neither is there. Other auditors do not count: they let everything pass. An interface that cannot be asked has nothing. In the
/// calling thread's namespace.
pub(super) fn before(interface: IfIndex, own: u32, own_filter: Option<OwnFilter>) -> Vec<Ahead> {
    // TCX comes before any filter.
    let mut ahead = programs(interface, own).unwrap_or_default();
    if let Some(own) = own_filter {
        ahead.extend(filters::ahead(interface, own).unwrap_or_default());
    }
    ahead
}

/// The programs before this one; all of them, if it is not among them.
fn programs(interface: IfIndex, own: u32) -> Result<Vec<Ahead>, ProgramError> {
    let name = if_indextoname(interface.0).map_err(|errno| ProgramError::IOError(errno.into()))?;
    let name = name.to_string_lossy();
    let (_, programs) = SchedClassifier::query_tcx(&name, TcAttachType::Egress)?;
    let before = programs
        .into_iter()
        .take_while(|program| program.id() != own);
    let is_entry = |name: &str| Direction::Egress.is_entry(name);
    let others = before.filter(|program| !program.name_as_str().is_some_and(is_entry));
    let others = others.map(|program| Ahead::Program {
        id: program.id(),
        name: program.name_as_str().unwrap_or_default().to_owned(),
    });
    Ok(others.collect())
}
