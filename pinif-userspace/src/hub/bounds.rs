//! How much may wait for a subscriber, and what an event counts for there.

use std::mem::{size_of, size_of_val};

use super::event::Event;
use crate::findings::{
    finding::Finding,
    samples::{DestinationSample, ProcessSample, Samples, SocketSample},
};

/// What an event that is no finding counts for, in bytes: more than all but the rarest have.
const EVENT: usize = 512;
/// What a sample's texts have at most: an address with its port, and what the allocator adds.
const TEXTS: usize = 96;

/// How much waits at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Events that are no findings.
    pub events: usize,
    /// Findings.
    pub findings: usize,
    /// What all of that takes, in bytes, as [`bytes`] counts it.
    pub bytes: usize,
}

impl Bounds {
    /// Of a subscriber in this process: as many findings as the kernel's table holds.
    pub const SUBSCRIBER: Self = Self {
        events: 1024,
        findings: 16_384,
        bytes: usize::MAX,
    };
    /// Of a reader outside: there may be many of them, and each may stop reading.
    pub const READER: Self = Self {
        events: 512,
        findings: 4096,
        bytes: 512 << 10,
    };
}

impl Default for Bounds {
    fn default() -> Self {
        Self::SUBSCRIBER
    }
}

/// What an event takes while it waits, in bytes; at least what nobody shares with it.
pub fn bytes(event: &Event) -> usize {
    match event {
        Event::Finding(finding, _) => of_finding(finding),
        Event::Foreseen(latent) => of_finding(&latent.finding) + EVENT,
        Event::Ready(_)
        | Event::Uncounted(..)
        | Event::Notice(_)
        | Event::ReaderLeft
        | Event::Ended(_) => EVENT,
    }
}

/// What a finding takes, with what it has seen: each line of it has that anew.
pub fn of_finding(finding: &Finding) -> usize {
    let samples = finding.samples.as_deref();
    let related = size_of_val(finding.related());
    // With its places in the queue.
    size_of::<Finding>() + related + samples.map_or(0, of_samples) + 64
}

fn of_samples(samples: &Samples) -> usize {
    let of = |number: usize, size: usize| number * (size + TEXTS);
    size_of::<Samples>()
        + of(samples.processes.samples.len(), size_of::<ProcessSample>())
        + of(samples.sockets.samples.len(), size_of::<SocketSample>())
        + of(
            samples.destinations.samples.len(),
            size_of::<DestinationSample>(),
        )
}
