//! What the verifier goes through for each program, and which are loaded: how long a start takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use aya::{maps::loaded_maps, programs::loaded_programs};
use nix::unistd::Pid;

use super::held::held;
use crate::bench::{CONTROL_PLANE, Need, scenario};

/// More instructions than the verifier goes through for any program, on any kernel of the table.
const MOST: u32 = 46_000;
/// What refuses what must not leave, at the cgroup.
const REFUSE: &str = "pinif_refuse";
/// What refuses groups there.
const JOIN: &str = "pinif_join";

#[test]
fn each_program_is_verified_in_a_few_thousand_instructions() {
    scenario(
        "verified all",
        &[Need::Namespaces, Need::VerifiedCount],
        |bench| {
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
        },
    );
}

#[test]
fn what_is_for_replies_is_loaded_where_they_are_audited() {
    let needs = [Need::Namespaces, Need::VerifiedCount];
    scenario("verified replies", &needs, |bench| {
        let plain = bench.audit(&[]);
        assert!(!verified(plain.pid()).contains_key("pinif_heard"));
        plain.stop().expect().nothing_else();
        let auditor = bench.audit(&["--replies"]);
        let verified = verified(auditor.pid());
        assert!(verified["pinif_egress"] < MOST, "{verified:?}");
        assert!(verified["pinif_heard"] < 2_000, "{verified:?}");
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn what_is_for_learning_is_verified_where_it_is_learned() {
    let needs = [Need::Namespaces, Need::VerifiedCount];
    scenario("verified learn", &needs, |bench| {
        let of = |arguments: &[&str]| {
            let auditor = bench.audit(arguments);
            let verified = verified(auditor.pid());
            auditor.stop().expect().nothing_else();
            verified["pinif_egress"]
        };
        let (plain, learning) = (of(&[]), of(&["--learn"]));
        assert!(
            (plain + 1..MOST).contains(&learning),
            "{plain}, then {learning}"
        );
    });
}

#[test]
fn the_programs_that_refuse_are_loaded_where_a_policy_is_enforced() {
    let needs = [Need::Namespaces, Need::VerifiedCount];
    scenario("verified refuse", &needs, |bench| {
        let plain = bench.audit(&[]);
        let verified = verified(plain.pid());
        assert!(!verified.contains_key(REFUSE), "{verified:?}");
        assert!(!verified.contains_key(JOIN), "{verified:?}");
        plain.stop().expect().nothing_else();
        let enforcing = bench.audit(&["--enforce"]);
        let verified = self::verified(enforcing.pid());
        assert!(verified[REFUSE] < MOST, "{verified:?}");
        assert!(verified[JOIN] < MOST, "{verified:?}");
        enforcing.stop().expect().nothing_else();
    });
}

#[test]
fn the_program_for_what_arrives_is_loaded_where_a_policy_needs_it() {
    let needs = [Need::Namespaces, Need::VerifiedCount];
    scenario("verified without-ingress", &needs, |bench| {
        let auditor = bench.audit(&[]);
        let verified = verified(auditor.pid());
        // The entry program has the same name, and a dozen instructions.
        assert!(verified["pinif_ingress"] < 100, "{verified:?}");
        assert!(verified["pinif_egress"] > 100, "{verified:?}");
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn the_maps_are_those_that_the_documentation_has() {
    scenario("verified maps", &[Need::Namespaces], |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let held = held_by(auditor.pid(), "map_id");
        let infos = loaded_maps()
            .flatten()
            .filter(|map| held.contains(&map.id()));
        let mut made: Vec<String> = infos
            .filter_map(|map| Some(map.name_as_str()?.to_owned()))
            // The constants and variables of the object, and what belongs to no program.
            .filter(|name| {
                name.chars()
                    .all(|letter| letter.is_ascii_uppercase() || letter == '_')
            })
            .collect();
        made.sort();
        assert_eq!(made, documented());
        auditor.stop().expect().nothing_else();
    });
}

/// The maps in the table of docs/developers/architecture.md.
fn documented() -> Vec<String> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/developers/architecture.md"
    );
    let text = fs::read_to_string(path).expect("the documentation");
    let (_, section) = text.split_once("\n## The maps\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next one");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`'));
    let mut names: Vec<String> = names
        .filter(|name| name.chars().any(|letter| letter.is_ascii_uppercase()))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

/// The instructions that the verifier went through for each program that a process holds, by name: the most where several have it.
fn verified(process: Pid) -> BTreeMap<String, u32> {
    let held = held_by(process, "prog_id");
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

/// The ids of the programs (`prog_id`) or maps (`map_id`) that a process has descriptors of.
fn held_by(process: Pid, what: &str) -> BTreeSet<u32> {
    let all = held(process).into_iter();
    all.filter_map(|held| held.number(what)).collect()
}
