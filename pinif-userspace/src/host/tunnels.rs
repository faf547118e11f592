//! Tunnels: which interfaces' packets may be inside an outer packet.

pub(super) mod local;
pub(super) mod signatures;

use std::collections::BTreeMap;

use pinif_ebpf::{
    key::IfIndex,
    tunnel::{Signature, flags},
};

use super::{
    links::{Link, Links},
    lower_devices::lower_devices,
};

/// What is said of outer packets: by their header, and by who may have sent what is in them. That is a tunnel or whatever
/// it carries, or [`IfIndex::NONE`] for any. `audited` says which tunnels' packets are counted on these.
pub fn outer(
    links: &Links,
    audited: impl Fn(IfIndex) -> bool,
) -> BTreeMap<(IfIndex, Signature), u32> {
    let mut above: BTreeMap<IfIndex, Vec<IfIndex>> = BTreeMap::new();
    for (upper, lower) in lower_devices(links) {
        above.entry(lower).or_default().push(upper);
    }
    let whole = |tunnel: &Link| {
        let uppers = above.get(&tunnel.index).into_iter().flatten().copied();
        std::iter::once(tunnel.index)
            .chain(uppers)
            .collect::<Vec<_>>()
    };
    // A tunnel's outer packets may be routed into another tunnel, unless it names its interface. What it has counted stays
    // counted there.
    let mut routed: BTreeMap<IfIndex, u32> = BTreeMap::new();
    for tunnel in links.iter() {
        if !tunnel.outer.is_empty() && tunnel.lower.is_none() {
            let counted = flags_of(tunnel, &audited) & flags::COUNTED;
            for upper in whole(tunnel) {
                *routed.entry(upper).or_default() |= counted;
            }
        }
    }
    let mut all = BTreeMap::new();
    for tunnel in links.iter().filter(|tunnel| !tunnel.outer.is_empty()) {
        let flags = flags_of(tunnel, &audited);
        let mut uppers: BTreeMap<IfIndex, u32> = routed
            .iter()
            .map(|(&upper, &counted)| (upper, flags | counted))
            .collect();
        uppers.insert(IfIndex::NONE, flags);
        uppers.extend(whole(tunnel).into_iter().map(|upper| (upper, flags)));
        for &signature in &tunnel.outer {
            for (&upper, &flags) in &uppers {
                all.entry((upper, signature))
                    .and_modify(|others| *others = both(*others, flags))
                    .or_insert(flags);
            }
        }
    }
    all
}

fn flags_of(tunnel: &Link, audited: impl Fn(IfIndex) -> bool) -> u32 {
    let mut flags = flags::OUTER;
    if audited(tunnel.index) {
        flags |= flags::COUNTED;
    }
    if is_wireguard(tunnel) {
        flags |= flags::TALKS;
    }
    flags
}

/// What holds of the packets of either of two tunnels.
const fn both(one: u32, other: u32) -> u32 {
    let counted = one & other & flags::COUNTED;
    (one | other) & !flags::COUNTED | counted
}

pub(super) fn is_wireguard(link: &Link) -> bool {
    link.kind.as_deref() == Some("wireguard")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(index: u32, signature: Signature) -> Link {
        Link {
            outer: [signature].into(),
            ..Link::new(IfIndex(index), format!("tunnel{index}"))
        }
    }

    #[test]
    fn what_a_tunnel_carries_may_be_in_its_packets() {
        let gre = Signature::protocol(47);
        let vlan = Link {
            lower: Some(IfIndex(5)),
            ..Link::new(IfIndex(6), "vlan")
        };
        let links = Links::from_iter([tunnel(5, gre), vlan, Link::new(IfIndex(7), "eth0")]);
        let outer = outer(&links, |_| false);
        let expected = [0, 5, 6].map(|upper| ((IfIndex(upper), gre), flags::OUTER));
        assert_eq!(outer, expected.into());
    }

    #[test]
    fn a_tunnel_may_lead_into_another() {
        let (gre, vxlan) = (Signature::protocol(47), Signature::udp_to(4789));
        let fixed = Link {
            lower: Some(IfIndex(9)),
            ..tunnel(7, vxlan)
        };
        let links = Links::from_iter([tunnel(5, gre), tunnel(6, vxlan), fixed]);
        let outer = outer(&links, |_| false);
        let leads = |upper, signature| outer.contains_key(&(IfIndex(upper), signature));
        assert!(leads(6, gre), "VXLAN over GRE");
        assert!(leads(5, vxlan), "GRE over VXLAN");
        assert!(!leads(7, gre), "what names its interface leaves by that");
    }

    #[test]
    fn of_two_tunnels_with_one_header_both_must_be_audited() {
        let gre = Signature::protocol(47);
        let links = Links::from_iter([tunnel(5, gre), tunnel(6, gre)]);
        let counted = flags::OUTER | flags::COUNTED;
        assert_eq!(outer(&links, |_| true)[&(IfIndex::NONE, gre)], counted);
        let one = outer(&links, |index| index == IfIndex(5));
        assert_eq!(one[&(IfIndex::NONE, gre)], flags::OUTER);
        assert_eq!(one[&(IfIndex(5), gre)], counted);
    }
}
