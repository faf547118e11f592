//! All that touches eBPF: loading, attaching, publishing, and reading what the programs counted.

mod ahead;
pub(crate) mod arrivals;
pub(crate) mod attach;
pub(crate) mod audit;
mod batch;
pub(crate) mod bypass;
pub(crate) mod captures;
pub(crate) mod clock;
pub(crate) mod counters;
pub(crate) mod direction;
pub(crate) mod entry;
mod existing;
pub(crate) mod fill;
mod filters;
mod function_types;
mod hook;
pub(crate) mod learned;
pub(crate) mod lingering;
pub(crate) mod load;
pub(crate) mod logs;
pub mod mode;
pub(crate) mod object;
pub(crate) mod persist;
pub(crate) mod pins;
pub(crate) mod publish;
pub(crate) mod ring;
pub(crate) mod sizes;
mod steady;
pub mod syscall;
mod task_files;
mod traced;
pub(crate) mod wakes;

pub use object::Object;
pub use persist::map_layout_of_this_build;
pub use publish::interface_zones;
pub use sizes::{WITHOUT_CAPTURE, WITHOUT_LEARNING, of_sockets};
