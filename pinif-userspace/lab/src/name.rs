//! Names that are unique, and that say which process made them.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

const PREFIX: &str = "pinif";

/// A name that no other process and no earlier call has: `pinif-<pid>-<n>-<label>`.
pub(crate) fn unique(label: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}-{}-{number}-{label}", std::process::id())
}

/// Whether `name` was made by [`unique`] in a process that has ended.
pub(crate) fn is_orphan(name: &str) -> bool {
    owner(name).is_some_and(|pid| !is_alive(pid))
}

/// The process that made this name.
fn owner(name: &str) -> Option<Pid> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix('-')?;
    let (pid, rest) = rest.split_once('-')?;
    let (number, _label) = rest.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok().filter(|&pid| pid > 0).map(Pid::from_raw)
}

fn is_alive(pid: Pid) -> bool {
    kill(pid, None) != Err(Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_owner_and_none_comes_twice() {
        let (first, second) = (unique("card"), unique("card"));
        assert_ne!(first, second);
        assert_eq!(owner(&first), Some(Pid::this()));
        assert!(!is_orphan(&first));
    }

    #[test]
    fn only_names_of_ours_can_be_orphans() {
        let dead = i32::MAX;
        assert!(is_orphan(&format!("pinif-{dead}-0-card")));
        for name in [
            "blue",
            "pinif",
            "pinif-blue",
            "pinif-0-0-card",
            "pinif--1-0-card",
            "pinif-7-card",
        ] {
            assert!(!is_orphan(name), "{name}");
        }
    }
}
