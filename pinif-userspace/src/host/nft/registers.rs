//! What the registers have that the expressions of a rule work on, where it becomes a mark.

use super::effect::MarkSet;

/// What is in a register, as far as it is known.
#[derive(Clone, Copy)]
pub(super) enum Value {
    Constant(u32),
    /// The packet's mark, of which these bits were kept, and these turned over then.
    Mark {
        keep: u32,
        flip: u32,
    },
    /// Made of the mark of the packet's connection.
    Connection,
}

impl Value {
    /// `NFT_BITWISE_MASK_XOR`.
    pub const fn bitwise(self, mask: u32, flip: u32) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(value & mask ^ flip),
            Self::Mark { keep, flip: before } => Self::Mark {
                keep: keep & mask,
                flip: before & mask ^ flip,
            },
            Self::Connection => Self::Connection,
        }
    }

    /// What it makes of the mark, where a rule sets it to this.
    pub const fn set(self) -> Option<MarkSet> {
        match self {
            Self::Constant(value) => Some(MarkSet::whole(value)),
            Self::Mark { keep, flip } => kept(keep, flip),
            Self::Connection => None,
        }
    }
}

/// What a mark becomes, of which these bits are kept, and these turned over then. Where one is kept and turned over, that is not known.
pub(super) const fn kept(keep: u32, flip: u32) -> Option<MarkSet> {
    if flip & keep != 0 || keep == u32::MAX {
        return None;
    }
    Some(MarkSet {
        value: flip,
        mask: !keep,
    })
}

/// The registers whose content is known.
#[derive(Default)]
pub(super) struct Registers(Vec<(u32, Value)>);

impl Registers {
    pub fn get(&self, register: u32) -> Option<Value> {
        let place = place(register);
        let known = self.0.iter().find(|(known, _)| *known == place);
        known.map(|(_, value)| *value)
    }

    pub fn put(&mut self, register: u32, value: Option<Value>) {
        let place = place(register);
        self.0.retain(|(known, _)| *known != place);
        self.0.extend(value.map(|value| (place, value)));
    }
}

/// The first word of a register: those of 16 bytes lie on four of four bytes each (`nft_parse_register`).
pub(super) const fn place(register: u32) -> u32 {
    /// `NFT_REG32_00`.
    const FIRST_WORD: u32 = 8;
    match register {
        1..=4 => FIRST_WORD + 4 * (register - 1),
        word => word,
    }
}
