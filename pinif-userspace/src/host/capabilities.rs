//! Can pinif run here, and if not, why: told apart from starting it, for `pinif doctor` and `pinif audit` alike.

use std::{fs, io};

use aya::{
    maps::MapType,
    programs::ProgramType,
    sys::{is_map_supported, is_program_supported},
};
use nix::{
    net::if_::if_nameindex,
    sys::resource::{Resource, getrlimit},
};
use procfs::sys::kernel::Version;

use super::{kernel_types, netns::NetNs, privileges::Privileges, processes, sockets};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// What was found.
    pub outcome: Outcome,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there; this is what.
    Ok(String),
    /// It is not.
    Lack {
        /// What is lacking, and what that means.
        why: String,
        /// What to do about it.
        mend: String,
        /// Whether nothing can be audited without it.
        fatal: bool,
    },
    /// It is as it is, and a person should know.
    Note(String),
}

impl Outcome {
    pub(super) fn fatal(why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Lack {
            why: why.into(),
            mend: mend.into(),
            fatal: true,
        }
    }

    pub(super) fn lack(why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Lack {
            why: why.into(),
            mend: mend.into(),
            fatal: false,
        }
    }
}

/// The first thing without which nothing can be audited, as one sentence with its mend.
pub fn obstacle(checks: &[Check]) -> Option<String> {
    checks.iter().find_map(|check| match &check.outcome {
        Outcome::Lack {
            why,
            mend,
            fatal: true,
        } => Some(format!("{why}; {mend}")),
        _ => None,
    })
}

/// Looks at everything that pinif needs. It takes some milliseconds and changes nothing.
pub fn check() -> Vec<Check> {
    let privileges = Privileges::read();
    let mut checks = vec![
        Check {
            name: "kernel",
            outcome: kernel(),
        },
        Check {
            name: "privileges",
            outcome: privileges.outcome(),
        },
        Check {
            name: "kernel types",
            outcome: kernel_types(),
        },
        Check {
            name: "cgroup v2",
            outcome: cgroup2(),
        },
        Check {
            name: "egress hook",
            outcome: egress_hook(),
        },
    ];
    // Without the right to load anything, every probe fails, for one reason that is told already.
    if privileges.may_load() {
        let programs = programs();
        let loadable = matches!(programs, Outcome::Ok(_));
        checks.push(Check {
            name: "programs",
            outcome: programs,
        });
        if loadable {
            checks.push(Check {
                name: "maps",
                outcome: maps(),
            });
        }
    }
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown");
    let jit = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable");
    checks.extend([
        Check {
            name: "lockdown",
            outcome: lockdown_of(lockdown.as_deref().unwrap_or_default()),
        },
        Check {
            name: "BPF compiler",
            outcome: compiler_of(jit),
        },
        Check {
            name: "descriptors",
            outcome: descriptors(),
        },
        Check {
            name: "old sockets",
            outcome: old_sockets(),
        },
        Check {
            name: "out of sight",
            outcome: out_of_sight(),
        },
    ]);
    checks
}

fn kernel() -> Outcome {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match Version::current() {
        Ok(version) => kernel_of(version, release.trim()),
        Err(_) => Outcome::fatal(
            "the kernel's version cannot be read",
            "mount /proc: `mount -t proc proc /proc`",
        ),
    }
}

fn kernel_of(version: Version, release: &str) -> Outcome {
    if (version.major, version.minor) >= (6, 1) {
        Outcome::Ok(format!("Linux {release}"))
    } else if (version.major, version.minor) >= (5, 14) {
        Outcome::lack(
            format!("Linux {release} is older than those that pinif is tested on"),
            "use Linux 6.1 or later",
        )
    } else {
        // SO_NETNS_COOKIE came with 5.14.
        Outcome::fatal(
            format!("Linux {release} cannot tell namespaces apart for good"),
            "use Linux 6.1 or later",
        )
    }
}

fn kernel_types() -> Outcome {
    match kernel_types::offsets() {
        Ok(_) => Outcome::Ok(kernel_types::VMLINUX.to_owned()),
        Err(error) => Outcome::fatal(
            format!("{error:#}"),
            "use a kernel that is built with CONFIG_DEBUG_INFO_BTF, as the large distributions' are",
        ),
    }
}

fn cgroup2() -> Outcome {
    match processes::cgroup2_root() {
        Ok(root) => Outcome::Ok(format!("mounted at {}", root.display())),
        Err(error) => match format!("{error:#}").split_once("; ") {
            Some((why, mend)) => Outcome::fatal(why, mend),
            None => Outcome::fatal(
                format!("{error:#}"),
                "mount /proc: `mount -t proc proc /proc`",
            ),
        },
    }
}

fn egress_hook() -> Outcome {
    match Version::current() {
        Ok(version) => egress_hook_of(version),
        Err(_) => Outcome::Note("unknown, as the kernel's version is".to_owned()),
    }
}

fn egress_hook_of(version: Version) -> Outcome {
    if (version.major, version.minor) >= (6, 6) {
        Outcome::Ok("TCX".to_owned())
    } else {
        Outcome::Ok("clsact, since TCX came with Linux 6.6".to_owned())
    }
}

fn programs() -> Outcome {
    let wanted = [
        (ProgramType::SchedClassifier, "sched_cls"),
        (ProgramType::CgroupSock, "cgroup_sock"),
        (ProgramType::CgroupSockAddr, "cgroup_sock_addr"),
        (ProgramType::CgroupSockopt, "cgroup_sockopt"),
    ];
    let probed = wanted.map(|(kind, name)| {
        (
            name,
            is_program_supported(kind).map_err(|error| root_cause(&error)),
        )
    });
    supported(
        &probed,
        "use a kernel that is built with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF and CONFIG_CGROUP_BPF",
    )
}

fn maps() -> Outcome {
    let wanted = [
        (MapType::Hash, "hash"),
        (MapType::PerCpuArray, "percpu_array"),
        (MapType::LpmTrie, "lpm_trie"),
        (MapType::SkStorage, "sk_storage"),
        (MapType::RingBuf, "ringbuf"),
    ];
    let probed = wanted.map(|(kind, name)| {
        (
            name,
            is_map_supported(kind).map_err(|error| root_cause(&error)),
        )
    });
    supported(
        &probed,
        "use Linux 5.8 or later, built with CONFIG_BPF_SYSCALL and CONFIG_NET",
    )
}

fn supported(probed: &[(&str, Result<bool, String>)], mend: &str) -> Outcome {
    if let Some((name, Err(error))) = probed.iter().find(|(_, result)| result.is_err()) {
        return Outcome::fatal(
            format!("the kernel refuses to try {name}: {error}"),
            "run it outside of containers and user namespaces, or allow bpf(2) there",
        );
    }
    let named = |wanted: bool| {
        let names: Vec<_> = probed
            .iter()
            .filter(|(_, r)| *r == Ok(wanted))
            .map(|(name, _)| *name)
            .collect();
        names.join(", ")
    };
    let lacking = named(false);
    if lacking.is_empty() {
        Outcome::Ok(named(true))
    } else {
        Outcome::fatal(format!("the kernel has no {lacking}"), mend)
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn lockdown_of(modes: &str) -> Outcome {
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

/// What pinif opens besides a descriptor for each interface and direction.
const OTHER_DESCRIPTORS: u64 = 128;

fn descriptors() -> Outcome {
    let interfaces = if_nameindex().map_or(0, |interfaces| interfaces.iter().count());
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) => descriptors_of(hard, interfaces as u64),
        Err(errno) => Outcome::Note(format!("unknown: {errno}")),
    }
}

fn descriptors_of(limit: u64, interfaces: u64) -> Outcome {
    let needed = 2 * interfaces + OTHER_DESCRIPTORS;
    if limit >= needed {
        Outcome::Ok(format!("{limit}, with {interfaces} interfaces here"))
    } else {
        Outcome::lack(
            format!(
                "at most {limit} descriptors are allowed, and {interfaces} interfaces here need about {needed}"
            ),
            format!("`ulimit -Hn {needed}`, or `LimitNOFILE={needed}` in the systemd unit"),
        )
    }
}

fn old_sockets() -> Outcome {
    match sockets::tells_raw() {
        Ok(true) => Outcome::Ok("TCP, UDP and raw sockets from before pinif starts are known".to_owned()),
        Ok(false) => Outcome::Note(
            "of raw sockets from before pinif starts the processes stay unknown: the kernel is built without \
             CONFIG_INET_RAW_DIAG"
                .to_owned(),
        ),
        Err(error) => Outcome::lack(
            format!("of sockets from before pinif starts the processes stay unknown: {error}"),
            "use a kernel that is built with CONFIG_INET_DIAG and CONFIG_INET_UDP_DIAG",
        ),
    }
}

fn out_of_sight() -> Outcome {
    let packets = NetNs::current()
        .ok()
        .and_then(|netns| sockets::packets(&netns).ok());
    let here = match packets.as_deref() {
        None => String::new(),
        Some([]) => "; there is no packet socket here now".to_owned(),
        Some([_]) => "; there is one packet socket here now".to_owned(),
        Some(several) => format!("; there are {} packet sockets here now", several.len()),
    };
    Outcome::Note(format!(
        "what is sent by packet sockets with PACKET_QDISC_BYPASS, by AF_XDP, by pktgen, or forwarded by \
         hardware never reaches TC egress{here}"
    ))
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
    fn old_kernels_are_told_from_too_old_ones() {
        assert_eq!(
            kernel_of(version(6, 1), "6.1.0-9"),
            Outcome::Ok("Linux 6.1.0-9".to_owned())
        );
        assert!(matches!(
            kernel_of(version(5, 15), "5.15"),
            Outcome::Lack { fatal: false, .. }
        ));
        assert!(is_fatal(&kernel_of(version(5, 10), "5.10")));
        assert_eq!(egress_hook_of(version(6, 6)), Outcome::Ok("TCX".to_owned()));
        assert_ne!(egress_hook_of(version(6, 5)), Outcome::Ok("TCX".to_owned()));
    }

    #[test]
    fn a_refused_probe_is_told_once() {
        let refused = Err("Operation not permitted (os error 1)".to_owned());
        let outcome = supported(
            &[("a", Ok(true)), ("b", refused.clone()), ("c", refused)],
            "mend",
        );
        let Outcome::Lack {
            why, fatal: true, ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            why,
            "the kernel refuses to try b: Operation not permitted (os error 1)"
        );
        let lacking = supported(
            &[("a", Ok(true)), ("b", Ok(false)), ("c", Ok(false))],
            "mend",
        );
        assert_eq!(lacking, Outcome::fatal("the kernel has no b, c", "mend"));
        assert_eq!(
            supported(&[("a", Ok(true)), ("b", Ok(true))], "mend"),
            Outcome::Ok("a, b".to_owned())
        );
    }

    #[test]
    fn the_first_thing_without_which_nothing_works_is_the_obstacle() {
        let check = |outcome| Check {
            name: "egress hook",
            outcome,
        };
        let lesser = [
            check(Outcome::Ok("TCX".to_owned())),
            check(Outcome::Note("unknown".to_owned())),
            check(Outcome::lack("programs are interpreted", "compile them")),
        ];
        assert_eq!(obstacle(&lesser), None);
        let lacking = supported(
            &[("sched_cls", Ok(true)), ("cgroup_sock", Ok(false))],
            "use a kernel that is built with CONFIG_CGROUP_BPF",
        );
        let checks = lesser.into_iter().chain([
            check(lacking),
            check(Outcome::fatal("there is no BTF", "build it in")),
        ]);
        assert_eq!(
            obstacle(&Vec::from_iter(checks)).as_deref(),
            Some(
                "the kernel has no cgroup_sock; use a kernel that is built with CONFIG_CGROUP_BPF"
            )
        );
    }

    #[test]
    fn limits_and_settings() {
        assert!(matches!(descriptors_of(1024, 100), Outcome::Ok(_)));
        assert!(matches!(
            descriptors_of(1024, 600),
            Outcome::Lack { fatal: false, .. }
        ));
        assert!(is_fatal(&lockdown_of("none integrity [confidentiality]\n")));
        for modes in [
            "",
            "[none] integrity confidentiality\n",
            "none [integrity] confidentiality\n",
        ] {
            assert!(matches!(lockdown_of(modes), Outcome::Ok(_)), "{modes}");
        }
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

    #[test]
    fn every_check_has_a_name_of_its_own_and_the_reason_for_a_gap_is_known() {
        let checks = check();
        let mut names: Vec<_> = checks.iter().map(|check| check.name).collect();
        assert!(names.contains(&"out of sight"));
        names.sort_unstable();
        let many = names.len();
        names.dedup();
        assert_eq!(names.len(), many);
    }
}
