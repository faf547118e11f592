//! What a unit confines a service to, put on a child as systemd does before it runs the service: filters of system calls
//! (seccomp(2)) and the bounding set of capabilities.
//!
//! Not done here is what takes a mount namespace (`ProtectSystem=` and the like) and what forbids whole subjects that pinif has
//! nothing to do with (`ProtectClock=`, `RestrictRealtime=` …).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::str::FromStr as _;

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use syscalls::Sysno;

use super::unit::Unit;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Confines what the command runs to what the unit says, but for these system calls, which are refused as unlisted ones are.
pub fn confine(command: &mut Command, unit: &Unit, refused: &[&str]) {
    let mut filters = Vec::from([
        address_families(unit),
        namespaces(unit),
        writable_code(unit),
    ]);
    // Last, since it refuses the system call that adds a filter.
    filters.push(system_calls(unit, refused));
    let dropped = dropped_capabilities(unit);
    let apply = move || -> io::Result<()> {
        for &capability in &dropped {
            remove_capability_from_bounding_set(capability)?;
        }
        filters
            .iter()
            .try_for_each(|filter| apply_filter(filter))
            .map_err(|_| io::Error::last_os_error())
    };
    // SAFETY: between fork and exec, only prctl(2) and seccomp(2) are called, and no memory is allocated.
    unsafe { command.pre_exec(apply) };
}

fn system_calls(unit: &Unit, refused: &[&str]) -> BpfProgram {
    let mut listed = unit.system_calls();
    for name in refused {
        assert!(listed.remove(*name), "{name} is not listed");
    }
    let unlisted = match unit.words("SystemCallErrorNumber").next() {
        None => SeccompAction::KillProcess,
        Some("EPERM") => SeccompAction::Errno(libc::EPERM as u32),
        Some(other) => panic!("{other} has to be known here as well"),
    };
    // Those of other architectures have no number here.
    let numbers = listed.iter().filter_map(|name| number(name));
    let rules = numbers.map(|number| (number, Vec::new())).collect();
    compile(rules, unlisted, SeccompAction::Allow)
}

/// `RestrictAddressFamilies=`, of a list of those that are allowed.
fn address_families(unit: &Unit) -> BpfProgram {
    let known = [
        ("AF_UNIX", libc::AF_UNIX),
        ("AF_NETLINK", libc::AF_NETLINK),
        ("AF_INET", libc::AF_INET),
        ("AF_INET6", libc::AF_INET6),
    ];
    let listed = unit.words("RestrictAddressFamilies").map(|name| {
        let family = known.iter().find(|(other, _)| *other == name);
        let (_, family) = family.unwrap_or_else(|| panic!("{name} has to be known here as well"));
        condition(0, SeccompCmpOp::Ne, *family as u64)
    });
    let rules = Rules::from([(call("socket"), vec![rule(listed.collect())])]);
    let refused = SeccompAction::Errno(libc::EAFNOSUPPORT as u32);
    compile(rules, SeccompAction::Allow, refused)
}

/// `RestrictNamespaces=net`, or `yes`: not that either.
fn namespaces(unit: &Unit) -> BpfProgram {
    let allowed: Vec<_> = unit.words("RestrictNamespaces").collect();
    let net = match *allowed {
        ["net"] => None,
        ["yes"] => Some(libc::CLONE_NEWNET),
        _ => panic!("{allowed:?} has to be known here as well"),
    };
    let others = [
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWUTS,
        0x80, // CLONE_NEWTIME (linux/sched.h)
    ];
    let has = |argument, flag: libc::c_int| {
        rule(vec![condition(
            argument,
            SeccompCmpOp::MaskedEq(flag as u64),
            flag as u64,
        )])
    };
    let with = |argument| -> Vec<_> {
        let all = others.into_iter().chain(net);
        all.map(|flag| has(argument, flag)).collect()
    };
    let mut set = with(1);
    // One that is entered without its kind being said may be any.
    set.push(rule(vec![condition(1, SeccompCmpOp::Eq, 0)]));
    let rules = Rules::from([
        (call("unshare"), with(0)),
        (call("clone"), with(0)),
        (call("setns"), set),
    ]);
    compile(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
    )
}

/// `MemoryDenyWriteExecute=`.
fn writable_code(unit: &Unit) -> BpfProgram {
    assert_eq!(unit.words("MemoryDenyWriteExecute").next(), Some("yes"));
    let both = (libc::PROT_WRITE | libc::PROT_EXEC) as u64;
    let code = libc::PROT_EXEC as u64;
    let has = |flags| {
        vec![rule(vec![condition(
            2,
            SeccompCmpOp::MaskedEq(flags),
            flags,
        )])]
    };
    let rules = Rules::from([
        (call("mmap"), has(both)),
        (call("mprotect"), has(code)),
        (call("pkey_mprotect"), has(code)),
    ]);
    compile(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
    )
}

/// `CapabilityBoundingSet=`: what is not in it.
fn dropped_capabilities(unit: &Unit) -> Vec<CapabilitySet> {
    let kept: BTreeSet<_> = unit.words("CapabilityBoundingSet").collect();
    let all = CapabilitySet::all().iter_names();
    let dropped = all.filter(|(name, _)| !kept.contains(format!("CAP_{name}").as_str()));
    dropped.map(|(_, capability)| capability).collect()
}

fn compile(rules: Rules, mismatch: SeccompAction, on_match: SeccompAction) -> BpfProgram {
    let architecture = std::env::consts::ARCH.try_into().expect("it is known");
    let filter = SeccompFilter::new(rules, mismatch, on_match, architecture);
    filter.and_then(TryInto::try_into).expect("a filter")
}

fn rule(conditions: Vec<SeccompCondition>) -> SeccompRule {
    SeccompRule::new(conditions).expect("a rule")
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> SeccompCondition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).expect("a condition")
}

fn call(name: &str) -> i64 {
    number(name).expect("it has a number")
}

fn number(name: &str) -> Option<i64> {
    Sysno::from_str(name).ok().map(|call| i64::from(call.id()))
}
