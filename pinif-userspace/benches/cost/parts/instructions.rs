//! What the programs execute on each path, counted without a kernel: figures that no machine changes.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Plan;
use crate::paths::{self, Path};
use crate::report::{Row, Section, Target};

/// The name of this part, and of its sections.
pub const NAME: &str = "instructions";

/// Counts.
///
/// # Errors
/// Where the programs do other than they must.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say(NAME);
    let paths = paths::all()?;
    Ok(vec![executed(&paths), by_file(&paths)])
}

fn executed(paths: &[Path]) -> Section {
    let rows = paths.iter().map(|path| {
        let calls = path.count.helper_calls().to_string();
        let mut row = row(path, &calls, path.count.instructions);
        row.target = path
            .limit
            .map(|limit| Target::AtMost(limit.instructions as f64));
        row
    });
    Section {
        name: NAME,
        title: "What is executed on each path",
        about: None,
        columns: vec!["with", "what happens", "helper calls"],
        rows: rows.collect(),
    }
}

/// Where the instructions of each path come from.
fn by_file(paths: &[Path]) -> Section {
    let mut rows = Vec::new();
    for path in paths {
        let mut files: BTreeMap<&str, u64> = BTreeMap::new();
        for (file, instructions) in &path.count.files {
            *files.entry(short(file)).or_default() += instructions;
        }
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by_key(|&(file, instructions)| (u64::MAX - instructions, file));
        let all = path.count.instructions;
        for (file, instructions) in files {
            if instructions * 20 >= all {
                rows.push(row(path, file, instructions));
            }
        }
    }
    Section {
        name: NAME,
        title: "What is executed, by source file",
        about: Some(
            "What was inlined is of the file where it is written; what was inlined of a library, of pinif's file before it. Files with less than a twentieth are left out.",
        ),
        columns: vec!["with", "what happens", "file"],
        rows,
    }
}

fn row(path: &Path, last: &str, instructions: u64) -> Row {
    let of = [path.with, path.name, last];
    Row::new(of, "instructions", vec![instructions as f64])
}

/// A source file below the crate's; what has none, in words.
fn short(file: &str) -> &str {
    match file.rsplit_once("pinif-ebpf/src/") {
        Some((_, file)) => file,
        None if file.is_empty() => "the entry program",
        None => file,
    }
}
