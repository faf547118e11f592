//! The page of each kind, as it is in `docs/kinds`.

use pinif_ebpf::verdict::Kind;

/// The page of a kind, as Markdown.
pub const fn page(kind: Kind) -> &'static str {
    match kind {
        Kind::DeviceEscape => include_str!("../../../../docs/kinds/device-escape.md"),
        Kind::AddressEscape => include_str!("../../../../docs/kinds/address-escape.md"),
        Kind::CopyEscape => include_str!("../../../../docs/kinds/copy-escape.md"),
        Kind::PolicyEscape => include_str!("../../../../docs/kinds/policy-escape.md"),
        Kind::Unpinned => include_str!("../../../../docs/kinds/unpinned.md"),
        Kind::CrossedBind => include_str!("../../../../docs/kinds/crossed-bind.md"),
        Kind::IngressEscape => include_str!("../../../../docs/kinds/ingress-escape.md"),
        Kind::Unaudited => include_str!("../../../../docs/kinds/unaudited.md"),
    }
}
