//! A persistent auditor of another instance at the interfaces of a network namespace.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use aya::programs::SchedClassifier;
use nix::net::if_::if_nameindex;
use pinif_ebpf::key::IfIndex;

use super::namespace::no_entry;
use crate::{
    host::netns::NetNs,
    kernel::{
        direction::TcDirection,
        filters,
        persist::{Persist, link},
    },
};

/// An interface of a namespace to which a persistent auditor is attached that is not this one, `own`.
///
/// # Errors
///
/// When the namespace cannot be entered.
pub fn foreign_instance(netns: &NetNs, own: Option<&Persist>) -> Result<Option<String>> {
    let mut ours = BTreeSet::new();
    if let Some(persist) = own {
        let pins = persist.pins();
        let here = pins
            .all()
            .into_iter()
            .filter(|pin| pin.netns == netns.cookie);
        ours.extend(here.filter_map(|pin| link::program_of(&pins.path_of(pin))));
    }
    let direction = TcDirection::Egress;
    let has_foreign_link = |name: &str| {
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
                has_foreign_link(&name).then_some(name)
            })
        })
        .with_context(|| no_entry(netns))?;
    if linked.is_some() || filters.is_empty() {
        return Ok(linked);
    }
    let owner = own.map(Persist::owner).unwrap_or_default();
    let foreign = filters
        .into_iter()
        .find(|(_, program)| !owner.has(*program));
    Ok(foreign.map(|(name, _)| name))
}
