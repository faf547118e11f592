//! Arithmetic and comparisons.

use anyhow::{Result, bail};

use crate::instruction::Instruction;

/// The result of an operation on 64 bits, or on the lower 32, which clears the upper ones.
///
/// # Errors
///
/// Where there is no such operation before the instruction set's version 4.
pub fn compute(instruction: Instruction, wide: bool, a: u64, b: u64) -> Result<u64> {
    const END: u8 = 0xd0;
    if instruction.operation() == END {
        return swap(instruction, wide, a);
    }
    if instruction.offset != 0 {
        bail!("signed arithmetic: {instruction:?}");
    }
    let (a, b) = if wide {
        (a, b)
    } else {
        (a & 0xffff_ffff, b & 0xffff_ffff)
    };
    let bits = if wide { 63 } else { 31 };
    let shift = (b & bits) as u32;
    let result = match instruction.operation() {
        0x00 => a.wrapping_add(b),
        0x10 => a.wrapping_sub(b),
        0x20 => a.wrapping_mul(b),
        0x30 => a.checked_div(b).unwrap_or(0),
        0x40 => a | b,
        0x50 => a & b,
        0x60 => a << shift,
        0x70 => a >> shift,
        0x80 => a.wrapping_neg(),
        0x90 => a.checked_rem(b).unwrap_or(a),
        0xa0 => a ^ b,
        0xb0 => b,
        0xc0 if wide => (a.cast_signed() >> shift).cast_unsigned(),
        0xc0 => u64::from(((a as u32).cast_signed() >> shift).cast_unsigned()),
        _ => bail!("no such arithmetic: {instruction:?}"),
    };
    Ok(if wide { result } else { result & 0xffff_ffff })
}

/// Byte order: to little or big endian, of the width that the constant says.
fn swap(instruction: Instruction, wide: bool, a: u64) -> Result<u64> {
    let to_big = instruction.takes_register();
    Ok(match (wide, to_big, instruction.immediate) {
        (false, true, 16) => (a as u16).swap_bytes().into(),
        (false, true, 32) => (a as u32).swap_bytes().into(),
        (false, true, 64) => a.swap_bytes(),
        (false, false, 16) => a & 0xffff,
        (false, false, 32) => a & 0xffff_ffff,
        (false, false, 64) => a,
        _ => bail!("no such byte order: {instruction:?}"),
    })
}

/// Whether a comparison of 64 bits, or of the lower 32, holds.
///
/// # Errors
///
/// Where there is no such comparison.
pub fn compare(instruction: Instruction, wide: bool, a: u64, b: u64) -> Result<bool> {
    let signed = |value: u64| {
        if wide {
            value.cast_signed()
        } else {
            (value as u32).cast_signed().into()
        }
    };
    let (signed_a, signed_b) = (signed(a), signed(b));
    let (a, b) = if wide {
        (a, b)
    } else {
        (a & 0xffff_ffff, b & 0xffff_ffff)
    };
    Ok(match instruction.operation() {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => signed_a > signed_b,
        0x70 => signed_a >= signed_b,
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => signed_a < signed_b,
        0xd0 => signed_a <= signed_b,
        _ => bail!("no such jump: {instruction:?}"),
    })
}
