//! Attaching the programs: the traffic programs to the interfaces of a namespace, the hooks to a cgroup.

mod ahead;
mod cgroup_hooks;
mod cgroup_link;
mod foreign;
mod hooks;
mod missing;
mod namespace;
mod traffic;

pub use ahead::at_egress;
pub use cgroup_hooks::{CgroupHooks, More};
pub use foreign::foreign_instance;
pub use hooks::Hooks;
pub use missing::Lack;
pub use namespace::{Looked, NamespaceHooks, Taken};
pub use traffic::load_egress;
