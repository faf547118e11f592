//! What pinif says of packets: a finding's facts, its causes, and their words. No eBPF, no clock.

pub mod cause;
pub mod decode;
pub mod enrich;
#[cfg(test)]
pub(crate) mod example;
pub mod explain;
pub mod finding;
pub mod gaps;
pub mod kinds;
pub mod latent;
pub mod line;
pub mod matrix;
#[cfg(test)]
mod memory;
pub mod samples;
pub mod shared;
pub mod subject;
