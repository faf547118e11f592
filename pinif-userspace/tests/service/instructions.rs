//! What the programs execute on each path: numbers that no machine and no kernel changes.

use std::path::PathBuf;
use std::{env, fs};

use pinif_userspace::kernel::Object;

use crate::bench;
use crate::paths::{self, Path, page};

/// Rewrites the table when this variable is set, instead of failing.
const UPDATE: &str = "PINIF_UPDATE_DOCS";
/// The paths of a packet of a finding that is known.
const LEAVES: &str = "a leaking packet";
const ARRIVED: &str = "a packet that may not arrive";

#[test]
fn what_is_cached_and_a_sockets_life_stay_within_their_limits() {
    let Some(paths) = counted() else {
        return;
    };
    let mut limited = 0;
    for path in &paths {
        let Path {
            name, with, count, ..
        } = path;
        let Some(limit) = path.limit else {
            continue;
        };
        limited += 1;
        let (instructions, calls) = (count.instructions, count.helper_calls());
        assert!(
            instructions <= limit.instructions && calls <= limit.calls,
            "{with}, {name}: {instructions} instructions and {calls} helper calls, where nearly every packet passes, or in the life of nearly every socket: {limit:?}"
        );
    }
    assert_eq!(limited, 10 + 5);
}

/// What all CPUs have in common and may write is in a cache line that they take from each other.
#[test]
fn no_cpu_writes_what_others_have_where_nearly_every_packet_passes() {
    let Some(paths) = counted() else {
        return;
    };
    let (mut clean, mut leaking) = (0, 0);
    for path in &paths {
        // Of what leaves, this CPU's own entry, which is in no cache line with another's (`pinif_ebpf::steady`). Of what arrives, the
        // finding's counters, and those of what it has seen; and which finding waits for the packet to be received.
        let (expected, number): (&[&str], _) = match path.name {
            LEAVES => (&["STEADY"], &mut leaking),
            ARRIVED => (&["AWAITED", "FINDINGS"], &mut leaking),
            _ if path.limit.is_some() && !path.is_life => (&[], &mut clean),
            _ => continue,
        };
        *number += 1;
        let shared: Vec<_> = path.count.shared.iter().collect();
        assert_eq!(shared, expected, "{}, {}", path.with, path.name);
    }
    assert_eq!((clean, leaking), (10, 3));
}

#[test]
fn the_documentation_has_what_each_path_executes() {
    let Some(paths) = counted() else {
        return;
    };
    let again = paths::all().expect("the paths");
    assert_eq!(page::tables(&again), page::tables(&paths));

    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/developers/performance.md");
    let kept = fs::read_to_string(&file).expect("the page");
    let made = page::written(&kept, &paths).expect("a page with a place for the table");
    if kept == made {
        return;
    }
    if env::var_os(UPDATE).is_some() {
        fs::write(&file, made).expect("the page can be written");
        return;
    }
    let compiler = page::compiler().unwrap_or_else(|| "an unknown compiler".to_owned());
    if !kept.contains(&format!("\nMade by {compiler}.\n")) {
        let reason = format!(
            "the numbers in {} are another compiler's than {compiler}'s",
            file.display()
        );
        return bench::skipped("instructions exact", &reason);
    }
    let gone = kept.lines().filter(|line| !made.contains(line));
    let new = made.lines().filter(|line| !kept.contains(line));
    let of = |mark: &str, line: &str| format!("{mark} {line}");
    let changes: Vec<String> = gone
        .map(|line| of("-", line))
        .chain(new.map(|line| of("+", line)))
        .collect();
    panic!(
        "the programs execute other numbers of instructions or helper calls than docs/developers/performance.md says. Where that is meant, \
         {UPDATE}=1 cargo nextest run --cargo-profile checked -p pinif-userspace --test service -E 'test(/^instructions::/)' \
         writes them there:\n{}",
        changes.join("\n")
    );
}

/// All paths; nothing where this pinif has no programs.
fn counted() -> Option<Vec<Path>> {
    if Object::Audit.bytes().is_empty() {
        bench::skipped(
            "instructions",
            "this pinif was built without its eBPF programs",
        );
        return None;
    }
    Some(paths::all().expect("the paths"))
}
