//! What the machine is given: a shell, the kernel's modules of networks, and the tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{suite::Suite, supply::Parts};
use crate::{
    process::run,
    vm::{
        image::{archive, mode, write},
        kernels::Kernel,
    },
};

const INIT: &str = include_str!("init.sh");

/// The modules of the kernel's package that are taken: of networks, and the devices that are made.
const MODULES: [&str; 5] = [
    "kernel/net",
    "kernel/lib",
    "kernel/crypto",
    "kernel/drivers/net/veth.ko*",
    "kernel/drivers/net/vrf.ko*",
];

/// Makes the file that the kernel unpacks, in a directory of its own.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn make(parts: &Parts, suite: &Suite, kernel: &Kernel, directory: &Path) -> Result<PathBuf> {
    let files = directory.join("files");
    let _none = fs::remove_dir_all(&files);
    write(&files.join("init"), INIT, 0o755)?;
    let tests: Vec<_> = suite
        .tests()
        .iter()
        .map(|(binary, test)| format!("{binary} {test}\n"))
        .collect();
    write(&files.join("tests"), &tests.concat(), 0o644)?;
    put(&parts.busybox, &files.join("bin/busybox"))?;
    for (name, binary) in &suite.binaries {
        strip(parts, binary, &files.join("tests.d").join(name))?;
    }
    for program in &suite.programs {
        let path = program.strip_prefix("/").context("an absolute path")?;
        strip(parts, program, &files.join(path))?;
    }
    modules(parts, kernel, &files)?;
    let image = directory.join("image");
    archive(&parts.tools.program("busybox"), &files, &image)?;
    fs::remove_dir_all(&files)?;
    Ok(image)
}

/// Copies the modules, without their compression, which the machine's shell does not read.
fn modules(parts: &Parts, kernel: &Kernel, files: &Path) -> Result<()> {
    let copied = files.join("lib/modules").join(&kernel.release);
    fs::create_dir_all(&copied)?;
    let script = r#"cd "$0" && cp -a --parents modules.order modules.builtin* $2 "$1" && find "$1" -name '*.xz' -exec "$3" unxz {} +"#;
    run(Command::new("sh")
        .args(["-c", script])
        .arg(kernel.modules()?)
        .arg(&copied)
        .arg(MODULES.join(" "))
        .arg(parts.tools.program("busybox")))?;
    run(Command::new(parts.tools.program("depmod"))
        .arg("-b")
        .arg(files)
        .arg(&kernel.release))
}

fn put(file: &Path, path: &Path) -> Result<()> {
    let directory = path.parent().context("it is below a directory")?;
    fs::create_dir_all(directory)
        .and_then(|()| fs::copy(file, path))
        .and_then(|_| fs::set_permissions(path, mode(0o755)))
        .with_context(|| format!("cannot copy {} to {}", file.display(), path.display()))
}

/// Copies a program without what debuggers need, the larger part of it.
fn strip(parts: &Parts, program: &Path, path: &Path) -> Result<()> {
    let directory = path.parent().context("it is below a directory")?;
    fs::create_dir_all(directory)?;
    run(parts.cross.strip().arg("-o").arg(path).arg(program))
}
