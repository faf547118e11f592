//! All that touches eBPF: loading, attaching, publishing, and reading what the programs counted.

mod ahead;
pub mod arrivals;
pub mod attach;
pub mod audit;
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
pub mod mode;
pub mod object;
pub mod persist;
pub mod pins;
pub mod publish;
pub mod ring;
pub mod syscall;
mod task_files;
