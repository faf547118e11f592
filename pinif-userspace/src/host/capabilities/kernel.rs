//! The kernel itself: its version, its types, its hook, what it allows.

use std::{fs, io};

use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use nix::{libc, net::if_::if_indextoname};
use procfs::sys::kernel::Version;

use super::{clsact, outcome::Outcome};
use crate::host::kernel_types as types;

pub(super) fn kernel() -> Outcome {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match Version::current() {
        Ok(version) => kernel_of(version, release.trim()),
        Err(_) => Outcome::fatal(
            "the kernel's version cannot be read",
            "mount /proc: `mount -t proc proc /proc`",
        ),
    }
}

/// Older kernels are not refused by their number: what they lack, the other checks say.
fn kernel_of(version: Version, release: &str) -> Outcome {
    if (version.major, version.minor) >= (5, 10) {
        Outcome::Ok(format!("Linux {release}"))
    } else {
        Outcome::lack(
            format!("Linux {release} is older than those that pinif is tested on"),
            "use Linux 5.10 or later",
        )
    }
}

pub(super) fn kernel_types() -> Outcome {
    match types::of_kernel() {
        Ok(_) => Outcome::Ok(types::VMLINUX.to_owned()),
        Err(error) => Outcome::fatal(
            format!("{error:#}"),
            "use a kernel that is built with CONFIG_DEBUG_INFO_BTF, as the large distributions' are",
        ),
    }
}

pub(super) fn egress_hook() -> Outcome {
    if has_tcx() {
        Outcome::Ok("TCX".to_owned())
    } else {
        clsact::outcome()
    }
}

/// Whether the kernel has TCX. Distributions have it in older kernels too, so it is asked (`bpf_prog_query` in
/// kernel/bpf/syscall.c); where this process may not ask, its version decides.
pub fn has_tcx() -> bool {
    /// Loopback's, in every namespace.
    const LOOPBACK: u32 = 1;
    let Ok(name) = if_indextoname(LOOPBACK) else {
        return is_since_tcx();
    };
    match SchedClassifier::query_tcx(&name.to_string_lossy(), TcAttachType::Egress) {
        Ok(_) => true,
        Err(ProgramError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::EINVAL) =>
        {
            false
        }
        Err(_) => is_since_tcx(),
    }
}

fn is_since_tcx() -> bool {
    Version::current().is_ok_and(|version| (version.major, version.minor) >= (6, 6))
}

/// What the kernel's lockdown allows.
pub(super) fn lockdown() -> Outcome {
    lockdown_of(fs::read_to_string("/sys/kernel/security/lockdown"))
}

fn lockdown_of(modes: io::Result<String>) -> Outcome {
    let modes = match modes {
        // The kernel has none, or securityfs is not mounted.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Outcome::Note(format!("unknown: {error}")),
        Ok(modes) => modes,
    };
    if modes.contains("[confidentiality]") {
        // LOCKDOWN_BPF_READ_KERNEL
        Outcome::fatal(
            "kernel lockdown forbids programs to read the kernel's memory",
            "boot with `lockdown=integrity` at most",
        )
    } else {
        Outcome::Ok(
            if modes.contains("[integrity]") {
                "integrity, which allows all that is needed"
            } else {
                "none"
            }
            .to_owned(),
        )
    }
}

/// Whether programs are compiled.
pub(super) fn compiler() -> Outcome {
    compiler_of(fs::read_to_string("/proc/sys/net/core/bpf_jit_enable"))
}

fn compiler_of(setting: io::Result<String>) -> Outcome {
    match setting.as_deref().map(str::trim) {
        Ok("0") => Outcome::lack(
            "programs are interpreted, which makes every packet slower",
            "`sysctl net.core.bpf_jit_enable=1`",
        ),
        Ok(_) => Outcome::Ok("programs are compiled".to_owned()),
        // Only root may read it.
        Err(_) => Outcome::Note("unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u8, minor: u8) -> Version {
        Version::new(major, minor, 0)
    }

    fn is_fatal(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Lack { fatal: true, .. })
    }

    #[test]
    fn kernels_that_are_older_than_the_tested_ones_are_named() {
        assert_eq!(
            kernel_of(version(5, 10), "5.10.0-9"),
            Outcome::Ok("Linux 5.10.0-9".to_owned())
        );
        assert!(matches!(
            kernel_of(version(5, 9), "5.9"),
            Outcome::Lack { fatal: false, .. }
        ));
    }

    #[test]
    fn settings() {
        assert!(is_fatal(&lockdown_of(Ok(
            "none integrity [confidentiality]\n".to_owned()
        ))));
        for modes in [
            "",
            "[none] integrity confidentiality\n",
            "none [integrity] confidentiality\n",
        ] {
            let outcome = lockdown_of(Ok(modes.to_owned()));
            assert!(matches!(outcome, Outcome::Ok(_)), "{modes}");
        }
        let refused = lockdown_of(Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(
            refused,
            Outcome::Note("unknown: permission denied".to_owned())
        );
        let none = lockdown_of(Err(io::ErrorKind::NotFound.into()));
        assert!(matches!(none, Outcome::Ok(_)));
        assert!(matches!(compiler_of(Ok("1\n".to_owned())), Outcome::Ok(_)));
        assert!(matches!(
            compiler_of(Ok("0\n".to_owned())),
            Outcome::Lack { fatal: false, .. }
        ));
        assert!(matches!(
            compiler_of(Err(io::ErrorKind::PermissionDenied.into())),
            Outcome::Note(_)
        ));
    }
}
