//! The C compiler, which links as well, and the C library: of this machine where they are installed, else of Debian's packages.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::directory;
use crate::{
    debian::apt::{Apt, Architecture, Extent},
    process::{output, say, which},
    script::{self, word},
    workspace::Workspace,
};

/// The C compiler, which calls the linker with what belongs to the C library.
const GCC: &str = "aarch64-linux-gnu-gcc";
/// What else of the same name's beginning is used.
const BESIDE: [&str; 2] = ["ar", "strip"];
/// Debian's packages that have it, and the C library.
const PACKAGES: [&str; 2] = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];

/// Finds the linker, or unpacks it. To install Debian's would remove what builds 32-bit programs (`gcc-multilib`).
///
/// # Errors
/// Where it is not there and cannot be brought.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(installed) = which(GCC).filter(|gcc| links(gcc)) {
        return Ok(installed);
    }
    let directory = directory(workspace);
    let root = directory.join("gcc");
    let path = directory.join("bin").join(GCC);
    let remedy = || {
        format!(
            "what is built for arm64 is linked by {GCC}, which this machine lacks or has without a static C library \
             (Debian's packages: {})",
            PACKAGES.join(", ")
        )
    };
    if !links(&path) {
        say(format_args!(
            "unpacking {} into {}",
            PACKAGES.join(" "),
            root.display()
        ));
        Apt::new(workspace, Architecture::Own)
            .and_then(|apt| apt.unpack(&PACKAGES, Extent::ForThisMachine, &root, |_| Ok(())))
            .with_context(remedy)?;
        std::fs::create_dir_all(directory.join("bin"))
            .with_context(|| format!("cannot write in {}", directory.display()))?;
        let sysroot = format!(" --sysroot={}", word(&root));
        script::write(&path, &starter(&root, GCC, &sysroot))?;
    }
    for tool in BESIDE {
        let path = beside(&path, tool);
        if !path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            script::write(&path, &starter(&root, &name, ""))?;
        }
    }
    if !links(&path) {
        bail!("{GCC} does not start from {}; {}", root.display(), remedy());
    }
    Ok(path)
}

/// A further tool for the target.
pub fn beside(gcc: &Path, tool: &str) -> PathBuf {
    let prefix = GCC.strip_suffix("gcc").unwrap_or_default();
    gcc.with_file_name(format!("{prefix}{tool}"))
}

/// Starts an unpacked program, and what it calls, with the libraries beside them.
fn starter(root: &Path, program: &str, arguments: &str) -> String {
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
    let libraries = libraries.map(|directory| word(&root.join(directory)));
    format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH={}\nexec {}{arguments} \"$@\"\n",
        libraries.join(":"),
        word(&root.join("usr/bin").join(program))
    )
}

/// Whether one starts, with its own linker and the static C library.
fn links(gcc: &Path) -> bool {
    let is_there = |option: &str| {
        // It gives the bare name of what it does not find.
        output(Command::new(gcc).arg(option)).is_some_and(|path| Path::new(path.trim()).is_file())
    };
    gcc.is_file() && is_there("-print-file-name=libc.a") && is_there("-print-prog-name=ld")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_without_a_c_library_does_not_do() {
        let directory =
            std::env::temp_dir().join(format!("pinif-xtask-gcc-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let gcc = |text: &str| script::write(&directory.join(GCC), text).expect("a script");
        let found = links(&gcc("#!/bin/sh\necho \"$0\"\n"));
        let missing = links(&gcc("#!/bin/sh\necho libc.a\n"));
        let broken = links(&gcc("#!/bin/sh\nexit 1\n"));
        std::fs::remove_dir_all(&directory).expect("clean-up");
        assert_eq!((found, missing, broken), (true, false, false));
        assert!(!links(&directory.join(GCC)));
    }
}
