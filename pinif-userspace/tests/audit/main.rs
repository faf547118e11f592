//! What an audit finds of what the kernel sends and takes, over the chassis: each family of scenarios is a module.

mod addresses;
#[path = "../bench/mod.rs"]
mod bench;
mod causes;
mod contained;
mod containers;
mod copies;
mod domains;
mod ends;
mod enforce;
mod escapes;
mod exact;
mod gaps;
mod held;
mod ingress;
mod integrity;
mod layers;
mod mistakes;
mod multipath;
mod namespaces;
mod packets;
mod persist;
mod pid_namespaces;
mod policy_escapes;
mod policy_names;
mod programs;
mod random;
mod replies;
mod stacks;
mod steady;
mod translated;
mod tunnels;
mod underlays;
mod verdict_cache;
mod verified;
mod windows;
