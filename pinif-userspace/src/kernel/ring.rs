//! The ring buffers by which the programs wake userspace, each with records of one type.

use std::{io, marker::PhantomData};

use anyhow::Result;
use aya::{
    Ebpf, Pod,
    maps::{MapData, RingBuf},
};
use pinif_ebpf::{
    arrival::NewNamespace, bypass::Bypass, learned::Learner, sighting::SightingRecord, wake::WakeUp,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::object::take_map;

/// What a ring buffer has records of.
pub trait Record: Pod {
    /// The ring buffer, by its name in the programs.
    const MAP: &'static str;
}

/// The first packet of each finding.
impl Record for SightingRecord {
    const MAP: &'static str = "SIGHTINGS";
}

/// A process is about to make a socket send past TC egress.
impl Record for Bypass {
    const MAP: &'static str = "BYPASSES";
}

/// A socket was made in a namespace that was not reported yet.
impl Record for NewNamespace {
    const MAP: &'static str = "ARRIVALS";
}

/// A program is new among those that send.
impl Record for Learner {
    const MAP: &'static str = "LEARNERS";
}

/// Somebody who sleeps is to wake up.
impl Record for WakeUp {
    const MAP: &'static str = "WAKES";
}

/// A ring buffer. It wakes when there is a record.
pub struct Ring<R> {
    ring: BytesRing,
    record: PhantomData<fn() -> R>,
}

/// A ring buffer whose records are as long as each says.
pub struct BytesRing(AsyncFd<RingBuf<MapData>>);

impl<R: Record> Ring<R> {
    /// Takes the ring buffer of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object has none, or the runtime cannot watch it.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            ring: BytesRing::open(ebpf, R::MAP)?,
            record: PhantomData,
        })
    }

    /// Waits for records and gives each to `each`.
    ///
    /// Safe to cancel: what was not given yet stays in the buffer.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, mut each: impl FnMut(R)) -> io::Result<()> {
        let item = |item: &[u8]| records(item).for_each(&mut each);
        self.ring.next(item).await
    }

    /// Gives the records that are there to `each`, without waiting.
    pub fn drain(&mut self, mut each: impl FnMut(R)) {
        self.ring.drain(|item| records(item).for_each(&mut each));
    }
}

impl BytesRing {
    /// Takes the ring buffer with this name. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object has none, or the runtime cannot watch it.
    pub fn open(ebpf: &mut Ebpf, map: &str) -> Result<Self> {
        let ring = RingBuf::try_from(take_map(ebpf, map)?)?;
        // SAFETY: the ring owns its map, and keeps its descriptor open and the same for as long as it lives.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE)? };
        Ok(Self(ring))
    }

    /// Waits for records and gives each to `each`.
    ///
    /// Safe to cancel: what was not given yet stays in the buffer.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut guard = self.0.readable_mut().await?;
        drain(guard.get_inner_mut(), each);
        guard.clear_ready();
        Ok(())
    }

    /// Gives the records that are there to `each`, without waiting.
    pub fn drain(&mut self, each: impl FnMut(&[u8])) {
        drain(self.0.get_mut(), each);
    }
}

fn drain(ring: &mut RingBuf<MapData>, mut each: impl FnMut(&[u8])) {
    while let Some(item) = ring.next() {
        each(&item);
    }
}

/// The records in a row of bytes. One that is cut short ends them.
pub(super) fn records<R: Pod>(bytes: &[u8]) -> impl Iterator<Item = R> {
    bytes.chunks_exact(size_of::<R>()).map(|record| {
        // SAFETY: the chunk is as long as a record, and any bytes are one (`Pod`).
        unsafe { record.as_ptr().cast::<R>().read_unaligned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_wherever_they_begin_and_a_part_of_one_is_none() {
        let bytes: Vec<u8> = (0..2 * size_of::<NewNamespace>() as u8 + 9).collect();
        let read = |bytes: &[u8]| {
            records::<NewNamespace>(bytes)
                .map(|it| it.netns.0)
                .collect::<Vec<_>>()
        };
        let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("a word"));
        assert_eq!(
            read(&bytes[1..]),
            [word(1), word(1 + size_of::<NewNamespace>())]
        );
        assert_eq!(read(&bytes[..size_of::<NewNamespace>() - 1]), [0; 0]);
        assert_eq!(read(&[]), [0; 0]);
    }
}
