//! What the kernel reports of loaded programs: who attached them where, how often and how long they ran.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::programs::loaded_programs;
use nix::unistd::Pid;
use pinif_ebpf::key::IfIndex;

use super::Hook;

/// A program that a process has attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attached {
    /// The kernel's number for it.
    pub program: u32,
    /// Where.
    pub hook: Hook,
}

/// How often a program ran, and how long in all. The kernel counts while `aya::sys::enable_stats` is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// How often (`run_cnt`).
    pub count: u64,
    /// How long (`run_time_ns`); what it goes on with by a tail call included.
    pub time: Duration,
}

impl Runs {
    /// What came since an earlier moment.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            time: self.time.saturating_sub(earlier.time),
        }
    }
}

/// What of a program depends on the compiler and the kernel, and not on the machine's speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name, cut to 15 bytes by the kernel.
    pub name: String,
    /// How many instructions the verifier went through, over all paths.
    pub verified: Option<u32>,
    /// Bytes of its eBPF instructions.
    pub translated: Option<u32>,
    /// Bytes of its machine code.
    pub jitted: u32,
}

/// The programs that a process holds attached by links, each once for each kind of hook.
///
/// # Errors
/// Where the process is gone.
pub fn attached_by(process: Pid) -> Result<Vec<Attached>> {
    let mut attached = Vec::new();
    for text in descriptors(process)? {
        let fields = fields(&text);
        if let (Some(program), Some(hook)) = (fields.get("prog_id"), fields.get("attach_type")) {
            attached.push(Attached {
                program: *program,
                hook: Hook(*hook),
            });
        }
    }
    attached.sort_unstable();
    attached.dedup();
    Ok(attached)
}

/// Where a process has attached programs to interfaces, each link of it.
///
/// # Errors
/// Where the process is gone.
pub fn attached_to_interfaces(process: Pid) -> Result<Vec<(IfIndex, Hook)>> {
    let links = descriptors(process)?;
    Ok(links
        .iter()
        .filter_map(|text| {
            let fields = fields(text);
            let (interface, hook) = (fields.get("ifindex")?, fields.get("attach_type")?);
            Some((IfIndex(*interface), Hook(*hook)))
        })
        .collect())
}

/// The numbers of all programs that a process holds, attached or not.
///
/// # Errors
/// Where the process is gone.
fn held_by(process: Pid) -> Result<Vec<u32>> {
    let mut held: Vec<u32> = descriptors(process)?
        .iter()
        .filter_map(|text| fields(text).get("prog_id").copied())
        .collect();
    held.sort_unstable();
    held.dedup();
    Ok(held)
}

/// What the kernel reports of every descriptor of a process (proc_pid_fdinfo(5)).
fn descriptors(process: Pid) -> Result<Vec<String>> {
    let directory = format!("/proc/{process}/fdinfo");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot read {directory}"))?;
    // One that was closed meanwhile is no loss.
    Ok(entries
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .filter(|text| text.contains("prog_id:"))
        .collect())
}

/// The fields that begin with a number. The attach type of a TCX link has its name behind it.
fn fields(text: &str) -> BTreeMap<&str, u32> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let number = value.split_whitespace().next()?.parse().ok()?;
            Some((name, number))
        })
        .collect()
}

/// How often and how long each of these programs ran until now.
///
/// # Errors
/// Where the kernel does not let its programs be listed.
pub fn runs_of(programs: &[u32]) -> Result<BTreeMap<u32, Runs>> {
    let mut runs = BTreeMap::new();
    for program in loaded_programs() {
        // Another's may have gone since it was listed.
        let Ok(program) = program else { continue };
        if programs.contains(&program.id()) {
            runs.insert(
                program.id(),
                Runs {
                    count: program.run_count(),
                    time: program.run_time(),
                },
            );
        }
    }
    Ok(runs)
}

/// What the kernel reports of the programs that a process holds.
///
/// # Errors
/// Where the process is gone.
pub fn facts_of(process: Pid) -> Result<Vec<(Facts, Vec<Hook>)>> {
    let held = held_by(process)?;
    let attached = attached_by(process)?;
    let mut facts = Vec::new();
    for program in loaded_programs().flatten() {
        if held.contains(&program.id()) {
            let hooks = attached
                .iter()
                .filter(|attached| attached.program == program.id())
                .map(|attached| attached.hook)
                .collect();
            let facts_of_it = Facts {
                name: program.name_as_str().unwrap_or_default().to_owned(),
                verified: program.verified_instruction_count(),
                translated: program.size_translated(),
                jitted: program.size_jitted(),
            };
            facts.push((facts_of_it, hooks));
        }
    }
    Ok(facts)
}
