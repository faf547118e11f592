//! Whether a program needs the machine's libraries.

use std::{fs, path::Path};

/// `PT_INTERP` of elf(5): names the loader of a program with libraries.
const PT_INTERP: u32 = 3;

/// Whether a program is linked statically, so that it runs where there is nothing beside it.
pub fn is_static(program: &Path) -> bool {
    fs::read(program).is_ok_and(|bytes| has_loader(&bytes) == Some(false))
}

/// Whether a 64-bit little-endian program names a loader; `None` where it is no such program.
fn has_loader(bytes: &[u8]) -> Option<bool> {
    const MAGIC: &[u8] = b"\x7fELF\x02\x01";
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    // e_phoff, e_phentsize, e_phnum
    let offset = u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?);
    let size = usize::from(half(54)?);
    let count = usize::from(half(56)?);
    for index in 0..count {
        let at = usize::try_from(offset).ok()?.checked_add(index * size)?;
        let kind = bytes.get(at..at.checked_add(4)?)?;
        if u32::from_le_bytes(kind.try_into().ok()?) == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program's headers, one for each kind.
    fn program(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        let count = u16::try_from(kinds.len()).expect("few headers");
        bytes[56..58].copy_from_slice(&count.to_le_bytes());
        for kind in kinds {
            let mut header = [0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&header);
        }
        bytes
    }

    #[test]
    fn a_program_that_names_a_loader_is_not_static() {
        assert_eq!(has_loader(&program(&[1, 1, 4])), Some(false));
        assert_eq!(has_loader(&program(&[1, PT_INTERP, 1])), Some(true));
        let this = std::env::current_exe().expect("this program");
        assert!(!is_static(&this));
    }

    #[test]
    fn what_is_cut_off_or_no_program_is_not_static() {
        let whole = program(&[1, 1]);
        for length in 0..whole.len() - 52 {
            assert_eq!(has_loader(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(has_loader(b"#!/bin/sh\n"), None);
    }
}
