//! What `pinif foresee` reports is what happens, in any network and under any policy.

mod audited;
mod many;
mod network;
mod world;
