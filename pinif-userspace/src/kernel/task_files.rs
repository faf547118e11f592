//! Iterators over the files of all tasks: given to the kernel, and run.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::Iter};

use super::{
    function_types::types_of,
    object::{program, refusal},
};
use crate::host::kernel_types::{KernelTypes, TASK_FILE};

/// Gives an iterator to the kernel.
fn load(iterator: &mut Iter, types: &KernelTypes) -> Result<()> {
    let id = types
        .task_file
        .with_context(|| format!("the kernel has no {TASK_FILE}"))?;
    let types = types_of(&[(id, TASK_FILE)])?;
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
