//! The kinds of finding, as userspace knows them: one row and one file each. What the kernel side knows of a kind is in the
//! contract ([`Kind`]).

mod address_escape;
mod arp_flux;
mod copy_escape;
mod crossed_bind;
mod device_escape;
pub(crate) mod headline;
mod ingress_escape;
mod policy_escape;
mod reply_escape;
mod row;
mod unaudited;
mod unpinned;

use pinif_ebpf::verdict::{self, Kind};

pub use row::Row;

/// The row of a kind. Here, and only here, a kind is entered.
pub const fn of(kind: Kind) -> &'static Row {
    match kind {
        Kind::DeviceEscape => &device_escape::ROW,
        Kind::AddressEscape => &address_escape::ROW,
        Kind::CopyEscape => &copy_escape::ROW,
        Kind::PolicyEscape => &policy_escape::ROW,
        Kind::ReplyEscape => &reply_escape::ROW,
        Kind::Unpinned => &unpinned::ROW,
        Kind::CrossedBind => &crossed_bind::ROW,
        Kind::IngressEscape => &ingress_escape::ROW,
        Kind::Unaudited => &unaudited::ROW,
        Kind::ArpFlux => &arp_flux::ROW,
    }
}

/// Whether packets of a kind are seen, and so counted.
pub fn is_counted(kind: Kind) -> bool {
    kind.row().direction != verdict::Direction::Unseen
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
