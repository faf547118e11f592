//! The shape of what is in memory, as text: where two texts are equal, each reads what the other has written.
//!
//! The text names members, not types: a type that is called otherwise has the same shape.

use std::fmt::Write as _;

use super::btf::{Btf, BtfError};

const INTEGER: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const VARIABLE: u32 = 14;
const SECTION: u32 = 15;
const ENUM64: u32 = 19;
/// A type inside a type inside …: a map's value has no more.
const DEPTH: usize = 24;

/// The variables of one section of an object whose BTF this is, in the order of their names: a line each, with its type's shape. BTF says of
/// an object's maps what their keys and values are (`.maps` of Documentation/bpf/btf.rst).
///
/// # Errors
/// Where the bytes are no BTF of this machine's byte order, or are damaged.
pub(crate) fn section(data: &[u8], section: &str) -> anyhow::Result<Vec<String>> {
    let btf = Btf::parse(data.to_vec())?;
    let mut lines = Vec::new();
    for id in btf.ids() {
        let found = btf.entry(id)?;
        if found.kind != SECTION || found.name != section {
            continue;
        }
        for &[variable, _, _] in found.rest.as_chunks().0 {
            let variable = btf.entry(variable)?;
            if variable.kind == VARIABLE {
                let mut line = format!("{}: ", variable.name);
                write(&btf, variable.size_or_type, DEPTH, &mut line)?;
                lines.push(line);
            }
        }
    }
    lines.sort_unstable();
    Ok(lines)
}

fn write(btf: &Btf, id: u32, depth: usize, text: &mut String) -> Result<(), BtfError> {
    if id == 0 {
        text.push_str("void");
        return Ok(());
    }
    let depth = depth.checked_sub(1).ok_or(BtfError::Damaged)?;
    let entry = btf.entry(id)?;
    let size = entry.size_or_type;
    match (entry.kind, entry.rest.as_slice()) {
        (INTEGER, &[encoding]) => {
            // Signed, a character, a boolean: the bytes are the same. The number of bits is in the last byte.
            let _ = write!(text, "i{}", encoding & 0xff);
        }
        (POINTER, _) => {
            text.push('*');
            write(btf, size, depth, text)?;
        }
        (ARRAY, &[element, _, count]) => {
            text.push('[');
            write(btf, element, depth, text)?;
            let _ = write!(text, "; {count}]");
        }
        (kind @ (STRUCT | UNION), members) => {
            text.push_str(if kind == STRUCT { "{" } else { "union {" });
            for &[name, member, offset] in members.as_chunks().0 {
                let _ = write!(text, " {}@{offset} ", btf.name(name)?);
                write(btf, member, depth, text)?;
            }
            let _ = write!(text, " }}{size}");
        }
        (ENUM, values) => {
            text.push_str("enum {");
            for &[name, value] in values.as_chunks().0 {
                let _ = write!(text, " {}={value}", btf.name(name)?);
            }
            let _ = write!(text, " }}{size}");
        }
        (ENUM64, values) => {
            text.push_str("enum {");
            for &[name, low, high] in values.as_chunks().0 {
                let value = u64::from(high) << 32 | u64::from(low);
                let _ = write!(text, " {}={value}", btf.name(name)?);
            }
            let _ = write!(text, " }}{size}");
        }
        // typedef, volatile, const, restrict, type tag
        (8..=11 | 18, _) => write(btf, size, depth, text)?,
        (other, _) => {
            let _ = write!(text, "kind {other} {}", entry.name);
        }
    }
    Ok(())
}
