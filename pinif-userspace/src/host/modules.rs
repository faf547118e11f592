//! Parts of the kernel that may be modules. A request of netlink to one that is not loaded loads it (`nfnetlink_rcv_msg`), and an auditor
//! changes nothing of what happens to packets: so it is looked first.

use std::{fs, path::Path, sync::OnceLock};

use super::{btf::Btf, kernel_types::VMLINUX};

/// A part of the kernel that may be a module.
pub(super) struct Module {
    /// The module's name.
    name: &'static str,
    /// A function of it, by which it is known where it is built in: a module without parameters has no directory of its own then.
    function: &'static str,
    is_built_in: OnceLock<bool>,
}

impl Module {
    /// nftables.
    pub const NF_TABLES: &'static Self = {
        static MODULE: Module = Module::new("nf_tables", "nft_do_chain");
        &MODULE
    };

    /// What tracks connections, for NAT and stateful rules.
    pub const CONNTRACK: &'static Self = {
        static MODULE: Module = Module::new("nf_conntrack", "nf_conntrack_in");
        &MODULE
    };

    const fn new(name: &'static str, function: &'static str) -> Self {
        Self {
            name,
            function,
            is_built_in: OnceLock::new(),
        }
    }

    /// Whether it is loaded or built in. A kernel that loads no modules may be asked for anything.
    pub fn is_there(&self) -> bool {
        let loads_none = !Path::new("/proc/modules").exists();
        loads_none
            || Path::new("/sys/module").join(self.name).exists()
            || *self.is_built_in.get_or_init(|| is_in_kernel(self.function))
    }
}

/// Whether the kernel itself has a function of this name. Where its types cannot be read, that is not known.
fn is_in_kernel(function: &str) -> bool {
    let btf = fs::read(VMLINUX)
        .ok()
        .and_then(|data| Btf::parse(data).ok());
    btf.is_some_and(|btf| btf.function(function).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::kernel_types::TASK_FILE;

    #[test]
    fn what_the_kernel_has_is_there_and_what_it_has_not_is_not() {
        assert!(is_in_kernel(TASK_FILE));
        assert!(!is_in_kernel("pinif_never_was"));
        let module = Module::new("pinif_never_was", "pinif_never_was");
        let loads_modules = Path::new("/proc/modules").exists();
        assert_eq!(module.is_there(), !loads_modules);
        let built_in = Module::new("pinif_never_was", TASK_FILE);
        assert!(built_in.is_there());
    }
}
