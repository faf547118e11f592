//! What the tests and the benchmarks need beyond the demo.

pub(crate) mod bpffs;
mod device;
mod disk;
mod frame;
mod offload;
mod server_process;
pub mod socket;

pub use bpffs::BpfFs;
pub use device::{Device, LinkKind};
pub use disk::FullDisk;
pub use frame::{Ethernet, Vlan, udp_packet};
pub use server_process::{ServerProcess, free_address};
