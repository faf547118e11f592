//! What pinif reports of packets: a finding's facts, its causes, and their words. No eBPF, no clock.

pub mod cause;
pub mod decode;
pub mod enrich;
#[cfg(test)]
pub(crate) mod example;
pub mod explain;
pub mod finding;
pub mod flow;
pub mod gaps;
pub mod kinds;
pub mod latent;
pub mod line;
pub mod matrix;
#[cfg(test)]
mod memory;
mod names;
pub mod pool;
pub mod process;
pub mod ready;
pub mod samples;
pub mod scene;
pub mod shared;
pub mod subject;
pub mod summary;
