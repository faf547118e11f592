//! All that touches eBPF: loading, attaching, publishing, and reading what the programs counted.

pub mod arrivals;
pub mod attach;
mod batch;
pub mod bypass;
pub mod clock;
pub mod counters;
pub mod direction;
pub mod entry;
mod filters;
mod hook;
pub mod load;
pub mod logs;
pub mod persist;
pub mod pins;
pub mod publish;
pub mod sightings;
pub mod syscall;
mod task_files;
