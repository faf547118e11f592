//! The maps, each private to its file with its typed accessors.

pub mod arriving;
pub mod awaited;
pub mod bridges;
pub mod bypasses;
pub mod captures;
pub mod cells;
pub mod endpoints;
pub mod findings;
pub mod flow_cache;
pub mod heard;
pub mod ingress_policy;
pub mod learned;
pub mod losses;
pub mod lower_devices;
pub mod maker;
pub mod names;
pub mod namespaces;
pub mod netns;
pub mod owners;
pub mod policy;
pub mod records;
pub mod scratch;
pub mod shares;
pub mod steady;
pub mod tunnels;
pub mod wakes;
