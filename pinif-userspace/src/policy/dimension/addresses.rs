//! Where a packet goes to and comes from: prefixes of addresses.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net, ipv4_mask_to_prefix};
use pinif_ebpf::{
    key::Address,
    policy::{Active, PrefixKey, RuleSet, Slot, dimension},
};

use super::{
    cache_input::CacheInput,
    definition::{Dimension, LookUp, LookUpFile},
    values::all_below,
};
use crate::policy::{
    key::{Key, Takes, key},
    prefixes::Prefixes,
    problem::{Flaw, quoted},
    raw::Scalar,
    trie::{Block, Space, TrieEntry, trie},
};

/// A dimension of addresses: its name, key, other names and bit, and the field of the rules that take any.
macro_rules! addresses {
    ($(#[$doc:meta])* $name:ident, $key:literal, $others:expr, $bit:expr, $any:ident, $about:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Dimension for $name {
            type Value = IpNet;
            type Table = Vec<TrieEntry<PrefixKey>>;
            type Answers = Prefixes;

            const KEY: Key = key($key, Takes::Texts, r#"["10.0.0.0/8", "fd00::/8"]"#, $about);
            const OTHER_NAMES: &'static [&'static str] = $others;
            const MOST: usize = 100_000;
            const BIT: u32 = $bit;
            const CACHE: CacheInput = CacheInput::Packet;

            fn parse(value: &Scalar, _: LookUp<'_>) -> Result<Self::Value, Flaw> {
                prefix(&value.as_text())
            }

            fn covers(outer: &[Self::Value], inner: &[Self::Value]) -> bool {
                nets_cover(outer, inner)
            }

            fn compile(wanted: &[Vec<Self::Value>], slot: Slot) -> (RuleSet, Self::Table) {
                trie(&blocks(wanted), prefix_key(slot))
            }

            fn is_unused(table: &Self::Table) -> bool {
                table.is_empty()
            }

            fn any(active: &mut Active) -> &mut RuleSet {
                &mut active.$any
            }

            fn answers(table: &Self::Table, _: &LookUpFile<'_>) -> Self::Answers {
                Prefixes::of_addresses(table)
            }
        }
    };
}

addresses!(
    /// Where the packet goes.
    Destination, "destination", &["dst", "to"], dimension::DESTINATION, any_destination,
    "The destination address: prefixes and addresses."
);
addresses!(
    /// Where the packet comes from.
    Source, "source", &["src", "from"], dimension::SOURCE, any_source,
    "The source address: prefixes and addresses."
);

/// A prefix, or an address, which is a prefix of its whole length.
fn prefix(text: &str) -> Result<IpNet, Flaw> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    if address.contains('%') {
        let fix = "leave the `%` and what follows out; `only_via` says by which interfaces";
        return Err(Flaw::new(format!("{} names an interface", quoted(text))).fix(fix));
    }
    let Ok(address) = address.parse::<IpAddr>() else {
        let fix =
            "write it as in `10.0.0.0/8`, `fd00::/8` or `192.0.2.1`; host names are not looked up";
        return Err(Flaw::new(format!("{} is not an IP prefix", quoted(text))).fix(fix));
    };
    let net = match length {
        None => IpNet::from(address),
        Some(length) => with_length(text, address, length)?,
    };
    if net != net.trunc() {
        let flaw = Flaw::new(format!("{} has host bits set", quoted(text)))
            .mark(format!("the network is {}", net.trunc()))
            .fix(format!(
                "write `{}`, or `{address}` for the one address",
                net.trunc()
            ));
        return Err(flaw);
    }
    unmapped(net)
}

fn with_length(text: &str, address: IpAddr, length: &str) -> Result<IpNet, Flaw> {
    let (family, longest) = match address {
        IpAddr::V4(_) => ("IPv4", 32),
        IpAddr::V6(_) => ("IPv6", 128),
    };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(net) = length
        .parse()
        .ok()
        .filter(|_| digits)
        .and_then(|bits| IpNet::new(address, bits).ok())
    {
        return Ok(net);
    }
    let flaw = Flaw::new(format!("{} has no valid prefix length", quoted(text)));
    let from_mask = match (address, length.parse::<Ipv4Addr>()) {
        (IpAddr::V4(address), Ok(mask)) => ipv4_mask_to_prefix(mask)
            .ok()
            .and_then(|bits| Ipv4Net::new(address, bits).ok()),
        _ => None,
    };
    Err(match from_mask {
        Some(net) => flaw.fix(format!("write the netmask as a length: `{}`", net.trunc())),
        None => flaw.fix(format!(
            "the length of an {family} prefix is a number from 0 to {longest}"
        )),
    })
}

/// Packets carry IPv4 addresses as IPv4: a prefix of mapped ones matches nothing.
fn unmapped(net: IpNet) -> Result<IpNet, Flaw> {
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.network().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
    {
        let flaw = Flaw::new(format!(
            "`{v6}` is IPv4 written as IPv6, and no packet has such an address"
        ));
        return Err(flaw.fix(format!("write `{v4}/{length}`")));
    }
    Ok(net)
}

fn nets_cover(outer: &[IpNet], inner: &[IpNet]) -> bool {
    let everything = [Ipv4Net::default().into(), Ipv6Net::default().into()];
    let inner = if inner.is_empty() { &everything } else { inner };
    let nets = |nets: &[IpNet]| nets.to_vec();
    all_below(nets(outer), nets(inner), |net| {
        std::iter::successors(Some(net), IpNet::supernet)
    })
}

fn blocks(wanted: &[Vec<IpNet>]) -> Vec<Vec<Block>> {
    wanted.iter().map(|all| nets(all)).collect()
}

fn nets(nets: &[IpNet]) -> Vec<Block> {
    let block = |net: &IpNet| {
        let (space, mapped_bits) = match net {
            IpNet::V4(_) => (Space::V4, Address::V4_PREFIX),
            IpNet::V6(_) => (Space::V6, 0),
        };
        Block {
            space,
            value: u128::from_be_bytes(Address::from(net.network()).0),
            bits: mapped_bits + net.prefix_len(),
        }
    };
    nets.iter().map(block).collect()
}

fn prefix_key(slot: Slot) -> impl Fn(&Block) -> (u32, PrefixKey) {
    move |block| {
        let address = Address(block.value.to_be_bytes());
        (PrefixKey::length(block.bits), PrefixKey::new(slot, address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_prefix_of_its_whole_length() {
        for (written, meant) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("fd00::1", "fd00::1/128"),
            ("::/0", "::/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/96", "::/96"),
        ] {
            assert_eq!(
                prefix(written).map(|net| net.to_string()),
                Ok(meant.to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for written in [
            "",
            "/",
            "10",
            "10.0/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "fd00::/129",
            "10.0.0.1/8",
            "fd00::1/64",
            "fe80::1%eth0",
            "fe80::1%eth0/64",
            "::ffff:10.0.0.0/104",
            "::ffff:10.0.0.1",
            "10.0.0.0/255.0.0.0",
            " 10.0.0.0/8",
            "example.net",
        ] {
            assert!(prefix(written).is_err(), "{written}");
        }
    }
}
