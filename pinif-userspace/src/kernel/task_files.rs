//! Iterators over the files of all tasks: given to the kernel, and run.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use aya::{Btf, Ebpf, Endianness, programs::Iter};

use super::object::{program, refusal};
use crate::host::kernel_types::{KernelTypes, TASK_FILE};

/// Gives an iterator to the kernel.
fn load(iterator: &mut Iter, types: &KernelTypes) -> Result<()> {
    let id = types
        .task_file
        .with_context(|| format!("the kernel has no {TASK_FILE}"))?;
    let types = Btf::parse(&types_of(id), Endianness::default())?;
    iterator.load("task_file", &types).map_err(refusal)
}

/// Gives the kernel the first of some iterators that it takes, by their functions' names. Which one that was.
///
/// # Errors
///
/// When the kernel refuses all: the first one's, which says what is amiss where another reason than a helper's keeps all away.
pub(super) fn load_any(ebpf: &mut Ebpf, names: [&str; 2], types: &KernelTypes) -> Result<usize> {
    let mut load = |name| load(program(ebpf, name)?, types);
    let [usual, other] = names;
    match load(usual) {
        Ok(()) => Ok(0),
        Err(refused) => load(other).map(|()| 1).map_err(|_| refused),
    }
}

/// Runs an iterator that is loaded; what its program writes.
///
/// # Errors
///
/// When the kernel refuses.
pub(super) fn read(iterator: &mut Iter) -> Result<Vec<u8>> {
    let link = iterator.attach()?;
    let mut output = Vec::new();
    let mut file = iterator.take_link(link)?.into_file()?;
    file.read_to_end(&mut output)?;
    Ok(output)
}

/// `struct btf_header` (linux/btf.h): its length, and what it begins with.
const HEADER: u32 = 24;
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// `BTF_KIND_FWD` and `BTF_KIND_FUNC` at their place in `info` of `struct btf_type`.
const FORWARD: u32 = 7 << 24;
const FUNCTION: u32 = 12 << 24;

/// Types in which the iterator's function has its id, and all before it are nothing. aya looks for that id alone, and takes the
/// kernel's types as a whole for it, which it reads far slower than pinif does.
fn types_of(id: u32) -> Vec<u8> {
    let bytes = |words: [u32; 3]| words.map(u32::to_ne_bytes).concat();
    let strings = [b"\0", TASK_FILE.as_bytes(), b"\0"].concat();
    let before = id.saturating_sub(1) as usize;
    let types = 12 * (before + 1);
    let mut data = Vec::with_capacity(HEADER as usize + types + strings.len());
    data.extend(MAGIC.to_ne_bytes());
    data.extend([VERSION, 0]);
    let header = [HEADER, 0, types as u32, types as u32, strings.len() as u32];
    data.extend(header.into_iter().flat_map(u32::to_ne_bytes));
    data.extend(bytes([0, FORWARD, 0]).repeat(before));
    data.extend(bytes([1, FUNCTION, 0]));
    data.extend(strings);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_has_its_id() {
        for id in [1, 2, 150_000] {
            let data = types_of(id);
            Btf::parse(&data, Endianness::default()).expect("BTF");
            // The first type has the id 1.
            let at = HEADER as usize + 12 * (id as usize - 1);
            let function: Vec<u8> = [1, FUNCTION, 0]
                .into_iter()
                .flat_map(u32::to_ne_bytes)
                .collect();
            assert_eq!(data[at..at + 12], function);
            assert_eq!(&data[at + 13..data.len() - 1], TASK_FILE.as_bytes());
        }
    }
}
