//! The contract between pinif's kernel programs and its userspace, and the decision itself.
//!
//! Everything here is `no_std`, free of pointers, and the same in the kernel and on the host: the eBPF programs of this
//! crate's binary target call it, userspace decodes with it, and the tests run it.
#![cfg_attr(not(test), no_std)]

pub mod arrival;
pub mod bypass;
pub mod capacity;
pub mod capture;
pub mod enforce;
pub mod entry;
pub mod groups;
pub mod heard;
pub mod intent;
pub mod key;
pub mod learned;
pub mod loss;
pub mod lower_devices;
pub mod offsets;
pub mod packet;
pub mod pin;
pub mod policy;
pub mod sample;
pub mod share;
pub mod sighting;
pub mod steady;
pub mod subject;
pub mod tunnel;
pub mod verdict;
pub mod verdict_cache;
pub mod wake;
