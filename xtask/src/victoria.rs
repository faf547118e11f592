//! VictoriaMetrics and its vmagent, of Debian's package: a fleet's database, and what a supervisor sends to it by.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    debian::apt::{Apt, Architecture, Extent, keep_alone},
    workspace::Workspace,
};

const PACKAGE: &str = "victoria-metrics";
/// What is used of it.
const PROGRAMS: [&str; 2] = ["victoria-metrics", "vmagent"];
/// Where the tests find them, as the environment says it.
pub const VARIABLE: &str = "PINIF_TEST_VICTORIA_METRICS";

/// Where the programs are, once they were brought.
pub fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vm/victoria")
}

/// Finds the programs in their directory, or brings them there.
///
/// # Errors
/// Where apt cannot download the package, or it cannot be unpacked.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let directory = directory(workspace);
    if PROGRAMS.iter().all(|name| directory.join(name).exists()) {
        return Ok(());
    }
    let apt = Apt::new(workspace, Architecture::Own)?;
    apt.unpack(&[PACKAGE], Extent::Alone, &directory, |directory| {
        // What else it has is larger.
        keep_alone(directory, PROGRAMS.map(|name| ("usr/bin", name)))
    })
}
