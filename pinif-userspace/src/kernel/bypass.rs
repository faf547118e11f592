//! Sockets that can send past TC egress: the news of them, and a list of those that there are.

use std::io::{self, Read as _};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
    programs::Iter,
};
use pinif_ebpf::bypass::Bypass;
use tokio::io::{Interest, unix::AsyncFd};

use super::{attach::program, load, task_files};
use crate::host::kernel_types::{self, KernelTypes};

/// The iterator over them, by the name of its function.
const ITERATOR: &str = "pinif_bypassing";

/// Wakes when a process is about to make a socket send past TC egress.
pub struct Bypasses(AsyncFd<RingBuf<MapData>>);

impl Bypasses {
    /// Takes the map of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object lacks it, or the runtime cannot watch it.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let map = ebpf
            .take_map("BYPASSES")
            .context("the eBPF object has no map BYPASSES")?;
        let ring = RingBuf::try_from(map)?;
        // SAFETY: the ring owns its map, and keeps its descriptor open and the same for as long as it lives.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE)? };
        Ok(Self(ring))
    }

    /// Waits for news and gives each to `each`. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, mut each: impl FnMut(Bypass)) -> io::Result<()> {
        let mut guard = self.0.readable_mut().await?;
        drain(guard.get_inner_mut(), &mut each);
        guard.clear_ready();
        Ok(())
    }

    /// Gives what is there to `each`, without waiting.
    pub fn drain(&mut self, mut each: impl FnMut(Bypass)) {
        drain(self.0.get_mut(), &mut each);
    }
}

fn drain(ring: &mut RingBuf<MapData>, each: &mut impl FnMut(Bypass)) {
    while let Some(item) = ring.next() {
        each_of(&item, each);
    }
}

/// Gives the iterator to the kernel, once.
///
/// # Errors
///
/// When the kernel refuses it.
pub fn load(ebpf: &mut Ebpf, types: &KernelTypes) -> Result<()> {
    task_files::load(iterator(ebpf)?, types)
        .context("the kernel refused the iterator over packet and AF_XDP sockets")
}

/// Every packet socket and every AF_XDP socket that can send, of all namespaces; one that several processes have, as often.
///
/// It goes over all files of all processes, which takes about a microsecond for ten of them.
///
/// # Errors
///
/// When the iterator is not loaded, or the kernel refuses to run it.
pub fn list(ebpf: &mut Ebpf) -> Result<Vec<Bypass>> {
    let refused = "packet and AF_XDP sockets cannot be listed";
    let iterator = iterator(ebpf)?;
    let link = iterator.attach().context(refused)?;
    let link = iterator.take_link(link).context(refused)?;
    let mut output = Vec::new();
    link.into_file()
        .context(refused)?
        .read_to_end(&mut output)
        .context(refused)?;
    let mut sockets = Vec::new();
    each_of(&output, &mut |socket| sockets.push(socket));
    Ok(sockets)
}

/// The same without an audit: the programs are loaded for this alone, and go with it.
///
/// # Errors
///
/// What an audit would lack.
pub fn list_once() -> Result<Vec<Bypass>> {
    let loader = load::Loader::begin();
    let types = kernel_types::of_kernel()?;
    let mut ebpf = load::load(loader, &types.offsets, 0, None)?;
    load(&mut ebpf, types)?;
    list(&mut ebpf)
}

fn iterator(ebpf: &mut Ebpf) -> Result<&mut Iter> {
    program(ebpf, ITERATOR)
}

/// The records that stand in a row of bytes. One that is cut short ends them.
fn each_of(bytes: &[u8], each: &mut impl FnMut(Bypass)) {
    for record in bytes.chunks_exact(size_of::<Bypass>()) {
        // SAFETY: the chunk is as long as a record, and any bytes are one (`Pod`).
        each(unsafe { record.as_ptr().cast::<Bypass>().read_unaligned() });
    }
}
