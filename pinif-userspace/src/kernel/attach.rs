//! Attaching the programs: the traffic programs to the interfaces of a namespace, the hooks to a cgroup.

mod ahead;
mod cgroup_link;
mod foreign;
mod hooks;
mod missing;
mod namespace;

pub use ahead::at_egress;
pub use foreign::foreign_instance;
pub use hooks::{CgroupHooks, Hooks, More, load_egress};
pub use namespace::{Looked, NamespaceHooks};
