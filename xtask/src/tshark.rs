//! tshark, Wireshark on the command line, of Debian's package: the tests have it read what pinif captures.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    debian::{
        apt::{Apt, Architecture, Extent},
        libraries,
    },
    workspace::Workspace,
};

const PACKAGE: &str = "tshark";
/// Where the package has the program.
const PROGRAM: &str = "usr/bin/tshark";
/// Where the tests find it, as the environment says it.
pub const VARIABLE: &str = "PINIF_TEST_TSHARK";

/// Where the program is with its libraries, once it was brought.
pub fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vm/tshark")
}

/// Finds the program in its directory, or brings it there.
///
/// # Errors
/// Where apt cannot download a package, or it cannot be unpacked.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let directory = directory(workspace);
    if directory.join(libraries::name(PROGRAM)).exists() {
        return Ok(());
    }
    let apt = Apt::new(workspace, Architecture::Own)?;
    apt.unpack(
        &[PACKAGE],
        Extent::ForThisMachine,
        &directory,
        |directory| libraries::keep(directory, &[PROGRAM]),
    )
}
