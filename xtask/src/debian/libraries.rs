//! Programs of Debian's packages with their libraries, which are started where they lie: with the folder [`FOLDER`] beside them as
//! `LD_LIBRARY_PATH`.

use std::{env::consts::ARCH, fs, path::Path};

use anyhow::{Context as _, Result};

/// The folder of the libraries, beside the programs.
pub const FOLDER: &str = "lib";

/// Leaves of unpacked packages these programs, each by its path in its package, in the directory itself, and all libraries in a folder
/// beside them.
///
/// # Errors
/// Where one is not there, or something cannot be moved or removed.
pub fn keep(directory: &Path, programs: &[&str]) -> Result<()> {
    let unpacked: Vec<_> = fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    for program in programs {
        fs::rename(directory.join(program), directory.join(name(program)))
            .with_context(|| format!("no package has {program}"))?;
    }
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
    fs::rename(aside, directory.join(FOLDER))?;
    Ok(())
}

/// The name of a program, without the path that its package has it at.
pub fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
