//! What the expressions of a rule do: they are run one after another, on registers (`nft_do_chain`).

use pinif_ebpf::key::IfIndex;

use super::{
    chains::Jump,
    conditions::{Condition, Reader},
    effect::Does,
    registers::{Registers, Value, kept, place},
};
use crate::host::attributes::{attribute, attributes, be_number, text};

/// `NFTA_EXPR_…`.
const NAME: u16 = 1;
const DATA: u16 = 2;

/// What a rule's expressions do.
#[derive(Default)]
pub(super) struct Read {
    /// The last thing that they do of this, and what they ask of a packet before that.
    pub does: Option<(Does, Vec<Condition>)>,
    /// It gives a packet its connection's mark.
    pub restores: bool,
    /// Where they lead packets.
    pub jump: Option<Jump>,
}

/// Reads a rule's expressions.
pub(super) fn read(expressions: &[u8]) -> Read {
    /// `NFTA_META_DREG`, `NFTA_META_KEY`, `NFTA_META_SREG`, `NFT_META_MARK`.
    const META_DESTINATION: u16 = 1;
    const META_KEY: u16 = 2;
    const META_SOURCE: u16 = 3;
    const META_MARK: u32 = 3;
    /// `NFTA_DUP_SREG_DEV`, `NFTA_FWD_SREG_DEV`.
    const DUP_DEVICE: u16 = 2;
    const FWD_DEVICE: u16 = 1;
    /// `NFTA_CT_KEY`, `NFTA_CT_DREG`, `NFT_CT_MARK`.
    const CT_KEY: u16 = 2;
    const CT_DESTINATION: u16 = 1;
    const CT_MARK: u32 = 3;
    let mut registers = Registers::default();
    let mut conditions = Reader::default();
    let mut read = Read::default();
    for expression in attributes(expressions) {
        let Some(name) = attribute(expression.value(), NAME) else {
            continue;
        };
        let data = attribute(expression.value(), DATA).unwrap_or_default();
        let register = |kind| attribute(&data, kind).and_then(|bytes| be_number(&bytes));
        let redirect = |registers: &Registers, kind| {
            let device = match registers.get(register(kind)?)? {
                Value::Constant(index) => IfIndex(index),
                Value::Mark { .. } | Value::Connection => return None,
            };
            Some(device)
        };
        let mut does = None;
        match text(&name).as_str() {
            "ct" if register(CT_KEY) == Some(CT_MARK) => {
                if let Some(destination) = register(CT_DESTINATION) {
                    registers.put(destination, Some(Value::Connection));
                }
            }
            "immediate" => {
                if let Some((register, value)) = constant(&data) {
                    registers.put(register, Some(Value::Constant(value)));
                }
            }
            "meta" if register(META_KEY) == Some(META_MARK) => {
                if let Some(source) = register(META_SOURCE) {
                    let value = registers.get(source);
                    read.restores = matches!(value, Some(Value::Connection));
                    does = Some(Does::Mark(value.and_then(Value::set)));
                }
                if let Some(destination) = register(META_DESTINATION) {
                    let mark = Value::Mark {
                        keep: u32::MAX,
                        flip: 0,
                    };
                    registers.put(destination, Some(mark));
                }
            }
            "bitwise" => {
                if let Some(Bitwise { from, to, operands }) = Bitwise::read(&data) {
                    let known = registers.get(from).zip(operands);
                    let value = known.map(|(before, (mask, flip))| before.bitwise(mask, flip));
                    registers.put(to, value);
                }
            }
            "dup" => does = Some(Does::Redirect(redirect(&registers, DUP_DEVICE))),
            "fwd" => does = Some(Does::Redirect(redirect(&registers, FWD_DEVICE))),
            "target" => {
                does = xtables_mark(&data);
                read.restores |= is_restored(&data);
            }
            // What it computes is not known.
            name => {
                if let Some(changed) = written(name, &data) {
                    registers.put(changed, None);
                }
            }
        }
        let name = text(&name);
        conditions.read(&name, &data, place, changed(&name, &data));
        let so_far = || conditions.conditions.clone();
        if let Some(does) = does {
            read.does = Some((does, so_far()));
        }
        if let Some(to) = led_to(&name, &data) {
            read.jump = Some(Jump {
                to,
                conditions: so_far(),
            });
        }
    }
    read
}

/// The chain that an expression leads packets to (`NFTA_VERDICT_CHAIN`); none within, where a map says which.
fn led_to(name: &str, data: &[u8]) -> Option<Option<String>> {
    /// `NFT_REG_VERDICT`.
    const VERDICT: u32 = 0;
    let is_verdict =
        |kind| attribute(data, kind).and_then(|bytes| be_number(&bytes)) == Some(VERDICT);
    match name {
        "immediate" if is_verdict(1) => {
            // `NFTA_DATA_VERDICT`.
            let verdict = attribute(&attribute(data, 2)?, 2)?;
            Some(Some(text(&attribute(&verdict, 2)?)))
        }
        "lookup" if is_verdict(3) => Some(None),
        _ => None,
    }
}

/// The register that an expression writes.
fn changed(name: &str, data: &[u8]) -> Option<u32> {
    match name {
        "immediate" => be_number(&attribute(data, 1)?),
        "bitwise" => be_number(&attribute(data, 2)?),
        name => written(name, data),
    }
}

/// The register that an expression which computes writes to: `NFTA_LOOKUP_DREG`, `NFTA_CT_DREG` and the like.
fn written(name: &str, data: &[u8]) -> Option<u32> {
    let kind = match name {
        "lookup" => 3,
        "byteorder" | "hash" | "socket" | "tunnel" => 2,
        "meta" | "ct" | "payload" | "numgen" | "rt" | "fib" | "exthdr" | "osf" | "xfrm" => 1,
        _ => return None,
    };
    be_number(&attribute(data, kind)?)
}

/// The register and the value of an immediate: `NFTA_IMMEDIATE_DREG`, `NFTA_IMMEDIATE_DATA`.
fn constant(data: &[u8]) -> Option<(u32, u32)> {
    Some((be_number(&attribute(data, 1)?)?, value(data, 2)?))
}

/// A bitwise expression.
struct Bitwise {
    /// The register that it reads (`NFTA_BITWISE_SREG`).
    from: u32,
    /// The one that it writes (`NFTA_BITWISE_DREG`).
    to: u32,
    /// The mask, and what is turned over then (`NFTA_BITWISE_MASK`, `NFTA_BITWISE_XOR`); none where it is a shift, or of two registers.
    operands: Option<(u32, u32)>,
}

impl Bitwise {
    fn read(data: &[u8]) -> Option<Self> {
        /// `NFTA_BITWISE_OP`; zero where it is missing (`NFT_BITWISE_MASK_XOR`).
        const OPERATION: u16 = 6;
        let number = |kind| be_number(&attribute(data, kind)?);
        let is_boolean = number(OPERATION).unwrap_or_default() == 0;
        let operands = value(data, 4).zip(value(data, 5));
        Some(Self {
            from: number(1)?,
            to: number(2)?,
            operands: operands.filter(|_| is_boolean),
        })
    }
}

/// A constant: `NFTA_DATA_VALUE`. Marks and indexes are as the host writes numbers.
fn value(data: &[u8], kind: u16) -> Option<u32> {
    let bytes = attribute(&attribute(data, kind)?, 1)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// Whether a target of xtables gives a packet its connection's mark.
fn is_restored(data: &[u8]) -> bool {
    let is_connmark = attribute(data, 1).is_some_and(|name| text(&name) == "CONNMARK");
    is_connmark && xtables_mark(data).is_some()
}

/// What a target of xtables makes of the mark (iptables-nft): `mark_tg`, with `struct xt_mark_tginfo2`, and `connmark_tg`, with
/// `struct xt_connmark_tginfo1`.
fn xtables_mark(data: &[u8]) -> Option<Does> {
    /// `NFTA_TARGET_NAME`, `NFTA_TARGET_INFO`.
    const TARGET_NAME: u16 = 1;
    const TARGET_INFO: u16 = 3;
    /// `XT_CONNMARK_RESTORE`, and where its mode is.
    const RESTORE: u8 = 2;
    const MODE: usize = 12;
    let info = attribute(data, TARGET_INFO)?;
    match text(&attribute(data, TARGET_NAME)?).as_str() {
        "MARK" => {
            let words = info.as_chunks().0;
            let [mark, mask] = [0, 1].map(|at| words.get(at).copied().map(u32::from_ne_bytes));
            let set = mark.zip(mask).and_then(|(mark, mask)| kept(!mask, mark));
            Some(Does::Mark(set))
        }
        "CONNMARK" if info.get(MODE) == Some(&RESTORE) => Some(Does::Mark(None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::effect::MarkSet, *};
    use crate::host::raw::Raw;

    fn empty() -> Raw {
        Raw(Vec::new())
    }

    /// An expression, with its attributes.
    fn expression(name: &str, data: &Raw) -> Raw {
        empty().with(NAME, name.as_bytes()).with_nested(DATA, data)
    }

    /// One whose attributes are numbers as nft has them.
    fn of_numbers(name: &str, numbers: &[(u16, u32)]) -> Raw {
        let number = |data: Raw, &(kind, value): &(u16, u32)| data.with(kind, &value.to_be_bytes());
        expression(name, &numbers.iter().fold(empty(), number))
    }

    /// A constant in an attribute.
    fn with_constant(data: Raw, kind: u16, value: u32) -> Raw {
        data.with_nested(kind, &empty().with(1, &value.to_ne_bytes()))
    }

    fn immediate(register: u32, value: u32) -> Raw {
        let register = empty().with(1, &register.to_be_bytes());
        expression("immediate", &with_constant(register, 2, value))
    }

    fn bitwise(from: u32, to: u32, mask: u32, flip: u32) -> Raw {
        let registers = empty().with(1, &from.to_be_bytes());
        let registers = registers.with(2, &to.to_be_bytes());
        expression(
            "bitwise",
            &with_constant(with_constant(registers, 4, mask), 5, flip),
        )
    }

    /// `meta mark` into a register, and from a register.
    fn load(register: u32) -> Raw {
        of_numbers("meta", &[(2, 3), (1, register)])
    }

    fn set(register: u32) -> Raw {
        of_numbers("meta", &[(2, 3), (3, register)])
    }

    fn target(name: &str, words: &[u32]) -> Raw {
        let info: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let data = empty().with(1, format!("{name}\0").as_bytes());
        expression("target", &data.with(3, &info))
    }

    fn all(expressions: &[&Raw]) -> Option<Does> {
        let list = |list: Raw, one: &&Raw| list.with_nested(1, one);
        let read = read(&expressions.iter().fold(empty(), list).0);
        read.does.map(|(does, _)| does)
    }

    fn whole(value: u32) -> Option<Does> {
        Some(Does::Mark(Some(MarkSet::whole(value))))
    }

    fn part(value: u32, mask: u32) -> Option<Does> {
        Some(Does::Mark(Some(MarkSet { value, mask })))
    }

    const UNKNOWN: Option<Does> = Some(Does::Mark(None));

    #[test]
    fn what_is_written_over_a_constant_is_not_known() {
        let (seven, set) = (immediate(1, 7), set(1));
        assert_eq!(all(&[&seven, &set]), whole(7));
        for over in [
            // `map`, whose key is in register 2; jhash(); `socket mark`; `fib`.
            of_numbers("lookup", &[(2, 2), (3, 1)]),
            of_numbers("hash", &[(1, 2), (2, 1)]),
            of_numbers("socket", &[(1, 1), (2, 1)]),
            of_numbers("fib", &[(1, 1)]),
            // A shift, and the same register by its other number.
            of_numbers("bitwise", &[(1, 1), (2, 1), (6, 1)]),
            of_numbers("fib", &[(1, 8)]),
        ] {
            assert_eq!(all(&[&seven, &over, &set]), UNKNOWN, "{over:?}");
        }
        // A set that register 1 is looked up in, and an expression that writes elsewhere, leave it.
        for beside in [
            of_numbers("lookup", &[(2, 1)]),
            of_numbers("hash", &[(1, 1), (2, 2)]),
        ] {
            assert_eq!(all(&[&seven, &beside, &set]), whole(7));
        }
    }

    #[test]
    fn a_rule_that_sets_some_bits_keeps_the_others() {
        // `meta mark set meta mark and 0xffffff00 or 0x7`.
        let some = bitwise(1, 1, 0xffff_ff00, 7);
        assert_eq!(all(&[&load(1), &some, &set(1)]), part(7, 0xff));
        // `meta mark set 0x107 and 0xff` is a constant.
        let low = bitwise(1, 1, 0xff, 0);
        assert_eq!(all(&[&immediate(1, 0x107), &low, &set(1)]), whole(7));
        // `meta mark set meta mark xor 0x7`, and the mark as it is: what they give is not known.
        let flipped = bitwise(1, 1, u32::MAX, 7);
        assert_eq!(all(&[&load(1), &flipped, &set(1)]), UNKNOWN);
        assert_eq!(all(&[&load(1), &set(1)]), UNKNOWN);
    }

    #[test]
    fn the_mask_of_a_target_of_xtables_is_heeded() {
        assert_eq!(all(&[&target("MARK", &[7, u32::MAX])]), whole(7));
        assert_eq!(all(&[&target("MARK", &[7, 0xff])]), part(7, 0xff));
        // `--xor-mark 7`.
        assert_eq!(all(&[&target("MARK", &[7, 0])]), UNKNOWN);
        assert_eq!(all(&[&target("MARK", &[7])]), UNKNOWN, "it is cut short");
        let mode = |mode: u8| u32::from_ne_bytes([mode, 0, 0, 0]);
        let connmark = |of| target("CONNMARK", &[0, u32::MAX, u32::MAX, mode(of)]);
        assert_eq!(all(&[&connmark(2)]), UNKNOWN);
        assert_eq!(all(&[&connmark(1)]), None, "it sets the connection's mark");
    }

    #[test]
    fn a_mark_may_be_of_a_rule_that_sets_some_bits() {
        let part = MarkSet {
            value: 7,
            mask: 0xff,
        };
        let marks = [7, 0x107, 8, 0];
        assert_eq!(
            marks.map(|mark| part.may_give(mark)),
            [true, true, false, false]
        );
        let whole = MarkSet::whole(7);
        assert_eq!(
            marks.map(|mark| whole.may_give(mark)),
            [true, false, false, false]
        );
        let cleared = MarkSet {
            value: 0,
            mask: 0xff,
        };
        assert!(!cleared.may_give(0x100));
    }
}
