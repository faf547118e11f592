//! The kinds of finding, as userspace knows them: one row and one file each. What the kernel side knows of a kind is in the
//! contract ([`Kind`]).

mod address_escape;
mod copy_escape;
mod crossed_bind;
mod device_escape;
mod ingress_escape;
mod policy_escape;
mod unaudited;
mod unpinned;

use std::sync::Arc;

use pinif_ebpf::verdict::{self, Kind};

use super::{
    cause::{LookUp, Scene},
    decode::Sighted,
    explain::{Cause, Remedy},
    finding::{Finding, Origin, Place},
    latent::Latent,
};

/// What is different by kind.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Whether only a bound device fixes it.
    pub demands_device: bool,
    /// What its packets do at their interface: `left via`.
    pub does: &'static str,
    /// What became of its packets, in a word.
    pub fate: &'static str,
    /// Its page, as Markdown.
    pub page: &'static str,
    /// Who sent it, for a headline: `telemetryd (pid 4242), bound to fab0`.
    pub sender: fn(&Finding) -> String,
    /// What would be wrong, at the end of a sentence that says where it would leave.
    pub foreseen: fn(&Latent) -> String,
    /// Why it happened.
    pub(super) causes: fn(&Sighted, &Scene<'_>, &mut LookUp<'_>) -> Vec<Cause>,
    /// Where such traffic belongs, if not where its rule says.
    pub(super) home: fn(&Place) -> Option<&Arc<str>>,
    /// What happened, in a sentence.
    pub(super) explanation: fn(&Finding) -> String,
    /// What fixes it.
    pub(super) remedy: fn(&Finding) -> Remedy,
}

/// The row of a kind. Here, and only here, a kind is entered.
pub const fn of(kind: Kind) -> &'static Row {
    match kind {
        Kind::DeviceEscape => &device_escape::ROW,
        Kind::AddressEscape => &address_escape::ROW,
        Kind::CopyEscape => &copy_escape::ROW,
        Kind::PolicyEscape => &policy_escape::ROW,
        Kind::Unpinned => &unpinned::ROW,
        Kind::CrossedBind => &crossed_bind::ROW,
        Kind::IngressEscape => &ingress_escape::ROW,
        Kind::Unaudited => &unaudited::ROW,
    }
}

/// Whether packets of a kind are seen, and so counted.
pub fn is_counted(kind: Kind) -> bool {
    kind.row().direction != verdict::Direction::Unseen
}

/// Who sent it, and to what it is bound.
fn sender(finding: &Finding) -> String {
    bound(finding, who(finding))
}

/// Who sent it: `telemetryd (pid 4242)`.
fn who(finding: &Finding) -> String {
    match (&finding.process, finding.origin) {
        (Some(process), _) => format!("{} (pid {})", process.comm, process.pid),
        (None, Origin::Socket) => "a socket of no known process".to_owned(),
        (None, Origin::Kernel) => "the kernel".to_owned(),
        (None, Origin::None) => "no socket".to_owned(),
    }
}

/// The same, and to what it is bound.
fn bound(finding: &Finding, who: String) -> String {
    match (finding.bound_device(), finding.origin) {
        (Some(device), _) => format!("{who}, bound to {device}"),
        (None, Origin::Socket) => format!("{who}, unpinned"),
        (None, Origin::Kernel | Origin::None) => who,
    }
}

/// Of a kind whose traffic belongs where its rule says.
fn by_rule(_: &Place) -> Option<&Arc<str>> {
    None
}

/// Of a kind whose traffic belongs to the bound device.
fn bound_device(place: &Place) -> Option<&Arc<str>> {
    place.bound_device.as_ref()
}

/// Of a kind whose traffic belongs to the interface that has the address.
fn source_owner(place: &Place) -> Option<&Arc<str>> {
    place.source_owner.as_ref()
}

/// Of a kind that is not foreseen, or of which there is nothing more to say.
fn nothing(_: &Latent) -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use pinif_ebpf::verdict::KindSet;

    use super::*;

    #[test]
    fn each_row_is_of_its_kind_and_agrees_with_the_contract() {
        for kind in Kind::ALL {
            let row = of(kind);
            let title = format!("# {}\n", kind.name());
            assert!(row.page.starts_with(&title), "{}", kind.name());
            assert_eq!(kind.row().is_of_rule, KindSet::OF_RULES.contains(kind));
        }
    }
}
