//! `cargo xtask scenarios`: what the last runs found in each case on each kernel, as a table.
//!
//! `cargo xtask test` and `cargo xtask vm` leave what their scenarios report in `target/scenarios`, a directory a kernel.

mod account;
mod matrix;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

pub use account::{DIRECTORY_VARIABLE, Scenario, clear, count, keep, read, summary};
use matrix::Column;

use crate::workspace::Workspace;

/// The directory of the kernel that runs this machine.
pub const HERE: &str = "here";
/// The file that says why a kernel could not be had, instead of what it found.
const MISSING: &str = "missing";

/// Where the scenarios of a kernel write what became of them.
pub fn directory(workspace: &Workspace, kernel: &str) -> PathBuf {
    workspace.target.join("scenarios").join(kernel)
}

/// Records that a kernel could not be had.
///
/// # Errors
/// Where the directory cannot be written.
pub fn miss(directory: &Path, reason: &str) -> Result<()> {
    clear(directory)?;
    let file = directory.join(MISSING);
    fs::write(&file, reason).with_context(|| format!("cannot write {}", file.display()))
}

/// Runs the task: prints the table, and writes it into the documentation.
///
/// # Errors
/// Where nothing has run yet, or a file cannot be read or written.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let columns = columns(&workspace.target.join("scenarios"))?;
    if columns.is_empty() {
        bail!(
            "no scenario has run yet: `cargo xtask test` runs them here, `cargo xtask vm` on other kernels"
        );
    }
    print!("{}", matrix::text(&columns));
    let file = workspace.root.join("docs/developers/scenarios-matrix.md");
    fs::write(&file, matrix::markdown(&columns))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// What each kernel's directory has, older kernels first.
fn columns(directory: &Path) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(columns);
    };
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if path.is_dir() {
            let missing = fs::read_to_string(path.join(MISSING)).ok();
            let column = Column::new(name, missing, read(&path)?);
            columns.extend(column);
        }
    }
    columns.sort_by_key(|column| column.version());
    Ok(columns)
}
