//! What pinif reports of packets: a finding's facts, its causes, and their words. No eBPF, no clock.

pub(crate) mod accepted;
pub mod alert_state;
pub(crate) mod cause;
pub(crate) mod decode;
pub(crate) mod enrich;
#[cfg(test)]
pub(crate) mod example;
pub mod explain;
pub mod finding;
pub mod flow;
pub(crate) mod gaps;
mod id;
pub(crate) mod kinds;
pub mod latent;
pub mod line;
pub(crate) mod listed;
pub mod matrix;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod paging;
pub(crate) mod pool;
pub mod process;
pub(crate) mod query;
pub mod ready;
pub(crate) mod related;
pub(crate) mod removal;
pub mod samples;
pub(crate) mod scene;
pub(crate) mod shared;
pub mod subject;
pub mod summary;
pub(crate) mod wall_time;
pub mod ways;
