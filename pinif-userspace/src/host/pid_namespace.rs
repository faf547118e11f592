//! The PID namespace that processes' numbers are of (pid_namespaces(7)).
//!
//! A process has a number in each PID namespace that it is in, and none in others. What pinif looks up by a number, it looks up in
//! `/proc`, so the numbers that it takes from the kernel and shows are of that namespace.

use std::{fs, sync::OnceLock};

use super::inode;

/// The inode of the initial one (`PID_NS_INIT_INO` of linux/proc_ns.h).
const INITIAL: u32 = 0xefff_fffc;
/// No namespace has it: inode numbers of namespaces are given from `PROC_DYNAMIC_FIRST` on, and do not come so far.
const NONE: u32 = u32::MAX;

/// The namespace of `/proc`, by its inode, as the programs take it: zero for the initial one. Where `/proc` does not say, it is one
/// that no process is in.
pub fn of_proc() -> u32 {
    static NAMESPACE: OnceLock<u32> = OnceLock::new();
    *NAMESPACE.get_or_init(|| {
        // The first process of a namespace is in it, and not in one below. Who may not look at it is in the same, mostly.
        let mut processes = ["1", "self"].into_iter();
        match processes.find_map(namespace_of) {
            Some(INITIAL) => 0,
            Some(inode) => inode,
            None => NONE,
        }
    })
}

/// Whether every process of the machine has a number here.
pub fn is_initial() -> bool {
    of_proc() == 0
}

fn namespace_of(process: &str) -> Option<u32> {
    let link = fs::read_link(format!("/proc/{process}/ns/pid")).ok()?;
    inode::in_link(link.to_str()?, "pid")?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_of_proc_is_this_processs() {
        let own = namespace_of("self").expect("/proc");
        assert_eq!(of_proc(), if own == INITIAL { 0 } else { own });
        assert_eq!(is_initial(), own == INITIAL);
    }
}
