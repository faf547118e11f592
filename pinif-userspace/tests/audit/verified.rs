//! What the verifier goes through for each program, and which are loaded: how long a start takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use aya::programs::loaded_programs;
use nix::unistd::Pid;

use crate::bench::{CONTROL_PLANE, Need, scenario};

/// More instructions than the verifier goes through for any program, on any kernel of the table.
const MOST: u32 = 25_000;

#[test]
fn each_program_is_verified_in_a_few_thousand_instructions() {
    scenario("verified all", &[Need::Namespaces], |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let verified = verified(auditor.pid());
        for name in ["pinif_egress", "pinif_ingress"] {
            assert!(verified.contains_key(name), "{verified:?}");
        }
        assert!(
            verified.values().all(|&instructions| instructions < MOST),
            "{verified:?}"
        );
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn the_program_for_what_arrives_is_loaded_where_a_policy_needs_it() {
    scenario("verified without-ingress", &[Need::Namespaces], |bench| {
        let auditor = bench.audit(&[]);
        let verified = verified(auditor.pid());
        // The entry program has the same name, and a dozen instructions.
        assert!(verified["pinif_ingress"] < 100, "{verified:?}");
        assert!(verified["pinif_egress"] > 100, "{verified:?}");
        auditor.stop().expect().nothing_else();
    });
}

/// The instructions that the verifier went through for each program that a process holds, by name: the most where several have it.
fn verified(process: Pid) -> BTreeMap<String, u32> {
    let held = held_by(process);
    let mut verified = BTreeMap::new();
    for program in loaded_programs().flatten() {
        if held.contains(&program.id())
            && let (Some(name), Some(instructions)) =
                (program.name_as_str(), program.verified_instruction_count())
        {
            let most = verified.entry(name.to_owned()).or_default();
            *most = instructions.max(*most);
        }
    }
    verified
}

/// The ids of the programs that a process has descriptors of (proc_pid_fdinfo(5)).
fn held_by(process: Pid) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).expect("the auditor runs");
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts
        .filter_map(|text| {
            let id = text
                .lines()
                .find_map(|line| line.strip_prefix("prog_id:"))?;
            id.trim().parse().ok()
        })
        .collect()
}
