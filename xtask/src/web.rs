//! What short connections are measured with, of Debian's packages: nginx, which answers them, and wrk, which makes them.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    debian::{
        apt::{Apt, Architecture, Extent},
        libraries,
    },
    workspace::Workspace,
};

const PACKAGES: [&str; 2] = ["nginx", "wrk"];
/// Where the packages have the programs.
const PROGRAMS: [&str; 2] = ["usr/sbin/nginx", "usr/bin/wrk"];
/// Where the bench finds them, as the environment says it.
pub const VARIABLE: &str = "PINIF_TEST_WEB";

/// Where the programs are, once they were brought.
pub fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vm/web")
}

/// Finds the programs in their directory, or brings them there.
///
/// # Errors
/// Where apt cannot download a package, or it cannot be unpacked.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let directory = directory(workspace);
    let there = |program: &&str| directory.join(libraries::name(program)).exists();
    if PROGRAMS.iter().all(there) {
        return Ok(());
    }
    let apt = Apt::new(workspace, Architecture::Own)?;
    apt.unpack(&PACKAGES, Extent::ForThisMachine, &directory, |directory| {
        libraries::keep(directory, &PROGRAMS)
    })
}
