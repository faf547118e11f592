//! Can pinif run here, and if not, why: apart from starting it, for both `pinif doctor` and `pinif audit`.

mod bpf;
mod clsact;
pub(crate) mod gaps;
mod kernel;
mod machine;
mod outcome;
mod privileges;

use privileges::Privileges;

pub use kernel::has_tcx;
pub use outcome::{Check, NEEDS_ROOT, Outcome, obstacle};

/// Looks at everything that pinif needs. It takes some milliseconds and changes nothing.
pub fn check() -> Vec<Check> {
    let privileges = Privileges::read();
    let may_load = privileges.as_ref().is_ok_and(Privileges::may_load);
    let outcome = match privileges {
        Ok(privileges) => privileges.outcome(),
        Err(error) => Outcome::fatal(
            format!("the capabilities of this process are unknown: {error}"),
            "mount /proc: `mount -t proc proc /proc`",
        ),
    };
    let mut checks = vec![
        Check::new("kernel", kernel::kernel()),
        Check::new("privileges", outcome),
        Check::new("kernel types", kernel::kernel_types()),
        Check::new("cgroup v2", machine::cgroup2()),
        Check::new("egress hook", kernel::egress_hook()),
    ];
    // Without the right to load anything, every probe fails, for one reason that is reported already.
    if may_load {
        let programs = bpf::programs();
        let loadable = matches!(programs, Outcome::Ok(_));
        checks.push(Check::new("programs", programs));
        if loadable {
            checks.push(Check::new("maps", bpf::maps()));
        }
    }
    checks.extend([
        Check::new("lockdown", kernel::lockdown()),
        Check::new("BPF compiler", kernel::compiler()),
        Check::new("descriptors", machine::descriptors()),
        Check::new("old sockets", machine::old_sockets()),
    ]);
    checks
}

/// Whether this process may load programs at all.
pub fn may_load() -> bool {
    Privileges::read().is_ok_and(|privileges| privileges.may_load())
}

/// Whether pinif has its programs inside: those of the audit, and those of a pin.
pub fn inside(audit: &[u8], pin: &[u8]) -> Check {
    let missing: Vec<_> = [("audit", audit), ("pin", pin)]
        .into_iter()
        .filter(|(_, object)| object.is_empty())
        .map(|(of, _)| of)
        .collect();
    let outcome = if missing.is_empty() {
        Outcome::Ok(format!(
            "{} KiB of eBPF objects",
            (audit.len() + pin.len()) / 1024
        ))
    } else {
        Outcome::fatal(
            format!(
                "this pinif was built without its eBPF programs ({})",
                missing.join(", ")
            ),
            "build it with `cargo xtask build`",
        )
    };
    Check::new("built in", outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinif_without_programs_cannot_audit() {
        let lacking = |audit: &[u8], pin: &[u8]| obstacle(&[inside(audit, pin)]);
        let sentence = |of| {
            format!(
                "this pinif was built without its eBPF programs ({of}); build it with `cargo xtask build`"
            )
        };
        assert_eq!(lacking(b"", b""), Some(sentence("audit, pin")));
        assert_eq!(lacking(b"", b"ELF"), Some(sentence("audit")));
        assert_eq!(lacking(b"ELF", b""), Some(sentence("pin")));
        assert_eq!(lacking(b"ELF", b"ELF"), None);
    }

    #[test]
    fn the_first_thing_without_which_nothing_works_is_the_obstacle() {
        let check = |outcome| Check::new("egress hook", outcome);
        let lesser = [
            check(Outcome::Ok("TCX".to_owned())),
            check(Outcome::Note("unknown".to_owned())),
            check(Outcome::lack("programs are interpreted", "compile them")),
        ];
        assert_eq!(obstacle(&lesser), None);
        let lacking = bpf::supported(
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
    fn every_check_has_a_name_of_its_own() {
        let checks = check();
        let mut names: Vec<_> = checks.iter().map(|check| check.name).collect();
        names.sort_unstable();
        let many = names.len();
        names.dedup();
        assert_eq!(names.len(), many);
    }
}
