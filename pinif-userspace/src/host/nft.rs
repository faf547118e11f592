//! The rules of nftables that may change where a packet leaves (linux/netfilter/nf_tables.h).

use std::{fmt, io};

use netlink_sys::protocols::NETLINK_NETFILTER;
use pinif_ebpf::key::IfIndex;

use super::{
    attributes::{attributes, text},
    listing::list,
    netns::NetNs,
    raw::Raw,
};

/// A rule, and what it does that matters here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NftRule {
    /// The family of its table, as nft(8) writes it.
    pub family: &'static str,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// Its handle, by which it can be deleted.
    pub handle: u64,
    /// What it does.
    pub does: Does,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Does {
    /// It gives packets this mark; `None`, one that it computes.
    Mark(Option<u32>),
    /// It sends packets, or copies of them, by this interface; `None`, one that it computes.
    Redirect(Option<IfIndex>),
}

/// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_GETRULE`.
const GET_RULES: u16 = 10 << 8 | 7;
/// `struct nfgenmsg`.
const HEADER: usize = 4;
/// `NFTA_RULE_…`.
const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const EXPRESSIONS: u16 = 4;
/// `NFTA_EXPR_…`.
const NAME: u16 = 1;
const DATA: u16 = 2;

/// All such rules of a namespace, in the order of the kernel.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses netlink (`CAP_NET_ADMIN`).
pub fn rules(netns: &NetNs) -> io::Result<Vec<NftRule>> {
    let question = Raw::question(HEADER, 0);
    let read = |_, payload: &[u8]| NftRule::read(payload);
    let listed = netns.run(|| list(NETLINK_NETFILTER, GET_RULES, &question, read))??;
    Ok(listed.what_there_is())
}

impl NftRule {
    fn read(payload: &[u8]) -> Option<Self> {
        let family = match i32::from(*payload.first()?) {
            1 => "inet",
            2 => "ip",
            3 => "arp",
            5 => "netdev",
            7 => "bridge",
            10 => "ip6",
            _ => return None,
        };
        let body = payload.get(HEADER..)?;
        let find = |kind| attribute(body, kind);
        Some(Self {
            family,
            table: text(&find(TABLE)?),
            chain: text(&find(CHAIN)?),
            handle: u64::from_be_bytes(find(HANDLE)?.try_into().ok()?),
            does: does(&find(EXPRESSIONS)?)?,
        })
    }

    /// What deletes it, as a line of the shell; none where nft(8) would not read the names as names: the kernel takes any bytes, and nft
    /// reads its arguments as one text of commands.
    pub fn deletion(&self) -> Option<String> {
        let are_names = is_identifier(&self.table) && is_identifier(&self.chain);
        are_names.then(|| {
            format!(
                "nft delete rule {} {} {} handle {}",
                self.family, self.table, self.chain, self.handle
            )
        })
    }
}

impl fmt::Display for NftRule {
    /// `nft rule ip lab out handle 4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nft rule {} {} {} handle {}",
            self.family, self.table, self.chain, self.handle
        )
    }
}

/// Whether nft(8) takes a text for a name (`string` of its scanner).
fn is_identifier(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || "_.".contains(c);
    text.starts_with(is_first)
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c))
}

/// The last thing that a rule's expressions do of this.
fn does(expressions: &[u8]) -> Option<Does> {
    /// `NFTA_META_KEY`, `NFTA_META_SREG`, `NFT_META_MARK`.
    const META_KEY: u16 = 2;
    const META_SOURCE: u16 = 3;
    const META_MARK: u32 = 3;
    /// `NFTA_DUP_SREG_DEV`, `NFTA_FWD_SREG_DEV`.
    const DUP_DEVICE: u16 = 2;
    const FWD_DEVICE: u16 = 1;
    let mut constants: Vec<(u32, u32)> = Vec::new();
    let mut does = None;
    for expression in attributes(expressions) {
        let Some(name) = attribute(expression.value(), NAME) else {
            continue;
        };
        let data = attribute(expression.value(), DATA).unwrap_or_default();
        let register = |kind| attribute(&data, kind).and_then(|bytes| number(&bytes));
        let known = |register: u32| {
            let all = constants.iter().rev();
            all.clone()
                .find(|(place, _)| *place == register)
                .map(|(_, value)| *value)
        };
        match text(&name).as_str() {
            "immediate" => constants.extend(constant(&data)),
            "meta" if register(META_KEY) == Some(META_MARK) => {
                if let Some(source) = register(META_SOURCE) {
                    does = Some(Does::Mark(known(source)));
                }
            }
            "dup" => {
                does = Some(Does::Redirect(
                    register(DUP_DEVICE).and_then(known).map(IfIndex),
                ));
            }
            "fwd" => {
                does = Some(Does::Redirect(
                    register(FWD_DEVICE).and_then(known).map(IfIndex),
                ));
            }
            "target" => does = xtables_mark(&data).or(does),
            // What it computes is not known.
            _ => {
                if let Some(changed) = written(&text(&name), &data) {
                    constants.retain(|(place, _)| *place != changed);
                }
            }
        }
    }
    does
}

/// The register that an expression which computes writes to: `NFTA_BITWISE_DREG`, `NFTA_CT_DREG` and the like.
fn written(name: &str, data: &[u8]) -> Option<u32> {
    let kind = match name {
        "lookup" => 3,
        "bitwise" | "byteorder" | "hash" | "socket" | "tunnel" => 2,
        "meta" | "ct" | "payload" | "numgen" | "rt" | "fib" | "exthdr" | "osf" | "xfrm" => 1,
        _ => return None,
    };
    number(&attribute(data, kind)?)
}

/// The register and the value of an immediate: `NFTA_IMMEDIATE_DREG`, `NFTA_IMMEDIATE_DATA`, `NFTA_DATA_VALUE`.
fn constant(data: &[u8]) -> Option<(u32, u32)> {
    let register = number(&attribute(data, 1)?)?;
    let value = attribute(&attribute(data, 2)?, 1)?;
    // Marks and indexes are as the host writes numbers.
    Some((register, u32::from_ne_bytes(value.try_into().ok()?)))
}

/// The mark that a target of xtables sets (iptables-nft): `struct xt_mark_tginfo2`.
fn xtables_mark(data: &[u8]) -> Option<Does> {
    /// `NFTA_TARGET_NAME`, `NFTA_TARGET_INFO`.
    const TARGET_NAME: u16 = 1;
    const TARGET_INFO: u16 = 3;
    let name = text(&attribute(data, TARGET_NAME)?);
    if name != "MARK" {
        return None;
    }
    let info = attribute(data, TARGET_INFO)?;
    let mark = info.first_chunk().copied().map(u32::from_ne_bytes);
    Some(Does::Mark(mark))
}

fn attribute(bytes: &[u8], kind: u16) -> Option<Vec<u8>> {
    let mut all = attributes(bytes);
    let found = all.find(|nla| nla.kind() == kind)?;
    Some(found.value().to_vec())
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(table: &str, chain: &str) -> NftRule {
        NftRule {
            family: "inet",
            table: table.to_owned(),
            chain: chain.to_owned(),
            handle: 4,
            does: Does::Mark(None),
        }
    }

    #[test]
    fn only_what_nft_takes_for_names_is_in_a_line() {
        let line = rule("lab-1", "_out/a.b").deletion();
        assert_eq!(
            line.as_deref(),
            Some("nft delete rule inet lab-1 _out/a.b handle 4")
        );
        for name in [
            "",
            "-f",
            "1a",
            "a b",
            "a handle 1; flush ruleset; list chain inet a",
            "a\u{fffd}",
            "a\"",
        ] {
            assert_eq!(rule(name, "out").deletion(), None, "{name}");
            assert_eq!(rule("lab", name).deletion(), None, "{name}");
        }
    }

    /// An expression, with numbers as nft has them.
    fn expression(name: &str, attributes: &[(u16, u32)]) -> Raw {
        let empty = || Raw(Vec::new());
        let number = |data: Raw, &(kind, value): &(u16, u32)| data.with(kind, &value.to_be_bytes());
        let data = attributes.iter().fold(empty(), number);
        empty().with(NAME, name.as_bytes()).with_nested(DATA, &data)
    }

    #[test]
    fn what_is_written_over_a_constant_is_not_known() {
        let empty = || Raw(Vec::new());
        let value = empty().with(1, &7u32.to_ne_bytes());
        let data = empty().with(1, &1u32.to_be_bytes()).with_nested(2, &value);
        let seven = empty().with(NAME, b"immediate").with_nested(DATA, &data);
        // The key is the mark, and it is set from register 1.
        let set = expression("meta", &[(2, 3), (3, 1)]);
        let all = |expressions: &[&Raw]| {
            let list = |list: Raw, one: &&Raw| list.with_nested(1, one);
            does(&expressions.iter().fold(empty(), list).0)
        };
        assert_eq!(all(&[&seven, &set]), Some(Does::Mark(Some(7))));
        for over in [
            // `map`, whose key is in register 2; jhash(); `socket mark`; `fib`.
            expression("lookup", &[(2, 2), (3, 1)]),
            expression("hash", &[(1, 2), (2, 1)]),
            expression("socket", &[(1, 1), (2, 1)]),
            expression("fib", &[(1, 1)]),
        ] {
            assert_eq!(
                all(&[&seven, &over, &set]),
                Some(Does::Mark(None)),
                "{over:?}"
            );
        }
        // A set that register 1 is looked up in, and an expression that writes elsewhere, leave it.
        for beside in [
            expression("lookup", &[(2, 1)]),
            expression("hash", &[(1, 1), (2, 2)]),
        ] {
            assert_eq!(all(&[&seven, &beside, &set]), Some(Does::Mark(Some(7))));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_rule_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = NftRule::read(&bytes);
        }
    }
}
