//! What a device is called.

use pinif_ebpf::key::IfIndex;

use crate::host::links::Links;

/// An interface's name, or its index where it is gone.
pub(super) fn name(index: IfIndex, links: &Links) -> String {
    links
        .get(index)
        .map_or_else(|| format!("if{}", index.0), |link| link.name.clone())
}
