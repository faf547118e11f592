//! What stands before pinif at an interface: what it ends, pinif never sees.

use std::{collections::BTreeSet, fmt, io};

use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use nix::net::if_::{if_indextoname, if_nameindex};
use pinif_ebpf::key::IfIndex;

use super::{Mode, NamespaceHooks};
use crate::{
    host::netns::NetNs,
    kernel::{direction::Direction, filters},
};

/// Something that is asked before pinif.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ahead {
    /// A program of the TCX hook.
    Program {
        /// Its number.
        id: u32,
        /// Its name: untrusted; empty where it has none.
        name: String,
    },
    /// A filter of the clsact qdisc.
    Filter {
        /// Its place (`pref`).
        priority: u16,
        /// What decides: `bpf`, `matchall`, `flower`, ….
        kind: String,
    },
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { id, name } if name.is_empty() => write!(f, "TCX program {id}"),
            Self::Program { id, name } => write!(f, "TCX program {name} (id {id})"),
            Self::Filter { priority, kind } => write!(f, "{kind} filter at pref {priority}"),
        }
    }
}

impl NamespaceHooks {
    /// What stands before pinif at each of the interfaces that it is attached to. Other auditors do not count: they let
    /// everything go on. An interface that cannot be asked has nothing.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn ahead(&self) -> io::Result<Vec<(IfIndex, Vec<Ahead>)>> {
        let own = self.egress.id().map_err(io::Error::other)?;
        let interfaces: Vec<IfIndex> = self.interfaces().collect();
        let mode = self.mode;
        self.netns.run(|| {
            let ahead = interfaces.into_iter().map(|interface| {
                let mut ahead = BTreeSet::new();
                // TCX comes before any filter.
                ahead.extend(programs(interface, own).unwrap_or_default());
                if mode == Mode::Clsact {
                    let own = self.egress.own_filter();
                    ahead.extend(filters::ahead(interface, own).unwrap_or_default());
                }
                (interface, ahead.into_iter().collect())
            });
            ahead.collect()
        })
    }
}

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
            let mut there = programs(index, 0).unwrap_or_default();
            let none = filters::Own::of(Direction::Egress, false);
            there.extend(filters::ahead(index, none).unwrap_or_default());
            there.dedup();
            let name = interface.name().to_string_lossy().into_owned();
            (!there.is_empty()).then_some((name, there))
        });
        Ok(found.collect())
    })?
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
