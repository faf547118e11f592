//! What short connections are measured with, of Debian's packages: nginx, which answers them, and wrk, which makes them.

use std::{
    env::consts::ARCH,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    debian::apt::{Apt, Architecture, Extent},
    workspace::Workspace,
};

const PACKAGES: [&str; 2] = ["nginx", "wrk"];
/// Where the packages have the programs.
const PROGRAMS: [&str; 2] = ["usr/sbin/nginx", "usr/bin/wrk"];
/// Where the bench finds them, as the environment says it.
pub const VARIABLE: &str = "PINIF_TEST_WEB";
/// The folder of the libraries that they are started with, beside them.
const LIBRARIES: &str = "lib";

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
    let there = |program: &&str| directory.join(name(program)).exists();
    if PROGRAMS.iter().all(there) {
        return Ok(());
    }
    let apt = Apt::new(workspace, Architecture::Own)?;
    apt.unpack(&PACKAGES, Extent::ForThisMachine, &directory, keep)
}

fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Leaves of the unpacked packages the programs, and their libraries in a folder beside them.
fn keep(directory: &Path) -> Result<()> {
    let unpacked: Vec<_> = fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    for program in PROGRAMS {
        fs::rename(directory.join(program), directory.join(name(program)))
            .with_context(|| format!("no package has {program}"))?;
    }
    let libraries = directory.join(LIBRARIES);
    let aside = directory.join(".lib");
    fs::create_dir(&aside)?;
    for place in ["usr/lib", "lib"] {
        // Debian's name of the architecture, in its folder of libraries (`dpkg-architecture -qDEB_HOST_MULTIARCH`).
        let place = directory.join(place).join(format!("{ARCH}-linux-gnu"));
        for library in fs::read_dir(place).into_iter().flatten() {
            let library = library?;
            let is_library = library.file_name().to_string_lossy().contains(".so");
            if is_library && !library.file_type()?.is_dir() {
                fs::rename(library.path(), aside.join(library.file_name()))?;
            }
        }
    }
    for entry in unpacked {
        fs::remove_dir_all(entry.path())?;
    }
    fs::rename(aside, libraries)?;
    Ok(())
}
