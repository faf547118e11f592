//! An instruction, by the names of the kernel's documentation (Documentation/bpf/standardization/instruction-set.rst).

/// The size of an instruction in bytes.
pub const SIZE: usize = 8;

/// `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The class in the lowest three bits; what the others are depends on it.
    pub code: u8,
    /// The destination register.
    pub to: usize,
    /// The source register, or what kind of constant or call it is.
    pub from: u8,
    /// Of a jump in instructions, of an access in bytes.
    pub offset: i16,
    /// The constant.
    pub immediate: i32,
}

impl Instruction {
    /// Of the eight bytes that the kernel takes, little-endian.
    pub fn of(bytes: [u8; SIZE]) -> Self {
        let [code, registers, o0, o1, i0, i1, i2, i3] = bytes;
        Self {
            code,
            to: usize::from(registers & 0xf),
            from: registers >> 4,
            offset: i16::from_le_bytes([o0, o1]),
            immediate: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }

    /// Whether it is a constant of 64 bits, whose upper half is the next instruction's (`BPF_LD | BPF_IMM | BPF_DW`).
    pub(crate) const fn is_long(self) -> bool {
        self.code == 0x18
    }

    /// Its class.
    pub(crate) const fn class(self) -> u8 {
        self.code & 7
    }

    /// What it does, of arithmetic and jumps.
    pub(crate) const fn operation(self) -> u8 {
        self.code & 0xf0
    }

    /// Whether its operand is a register.
    pub(crate) const fn takes_register(self) -> bool {
        self.code & 8 != 0
    }

    /// How an access goes.
    pub(crate) const fn mode(self) -> u8 {
        self.code & 0xe0
    }

    /// How many bytes an access has.
    pub(crate) const fn width(self) -> usize {
        match self.code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }
}

/// Classes.
pub mod class {
    pub const LD: u8 = 0;
    pub const LDX: u8 = 1;
    pub const ST: u8 = 2;
    pub const STX: u8 = 3;
    pub const ALU: u8 = 4;
    pub const JMP: u8 = 5;
    pub const ALU64: u8 = 7;
}

/// How an access goes.
pub mod mode {
    pub const IMM: u8 = 0x00;
    pub const MEM: u8 = 0x60;
    pub const ATOMIC: u8 = 0xc0;
}

/// What `LD` with `IMM` loads, by its source register.
pub mod constant {
    pub const NUMBER: u8 = 0;
    /// `BPF_PSEUDO_MAP_FD`.
    pub const MAP: u8 = 1;
    /// `BPF_PSEUDO_MAP_VALUE`.
    pub const VALUE: u8 = 2;
}

/// What `CALL` calls, by its source register.
pub mod callee {
    pub const HELPER: u8 = 0;
    /// `BPF_PSEUDO_CALL`.
    pub const FUNCTION: u8 = 1;
}

/// Jumps that are not comparisons.
pub mod jump {
    pub const JA: u8 = 0x00;
    pub const CALL: u8 = 0x80;
    pub const EXIT: u8 = 0x90;
}
