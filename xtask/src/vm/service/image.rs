//! What the machine is given: the root file system in one file, which its first program unpacks into memory.
//!
//! So it needs no disk, no file system of this machine and no module before systemd runs, and what it writes is gone with it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    dist::trial,
    process::{output, run},
    test::CHECKED,
    vm::{
        image::{archive, copy, write},
        kernels::Kernel,
        tools::Tools,
    },
    workspace::Workspace,
};

const INIT: &str = include_str!("init.sh");
const CHECKS: &str = include_str!("checks.sh");
const COLLECTOR: &str = include_str!("collector.pl");

/// What is documented, and is done as it says: each file, and where it is in the repository.
const DOCUMENTED: [(&str, &str); 5] = [
    ("journal.md", "docs/journal.md"),
    ("otlp.md", "docs/otlp.md"),
    ("certificates.sh", "contrib/chassis/certificates.sh"),
    ("card.toml", "contrib/chassis/card.toml"),
    ("pinif-serve.conf", "contrib/chassis/pinif-serve.conf"),
];

/// The files that differ from what Debian's packages have, and their text.
const FILES: [(&str, &str); 10] = [
    (
        "etc/systemd/system/checks.service",
        include_str!("checks.service"),
    ),
    (
        "root/policy.toml",
        "[zone.backplane]\ninterfaces = [\"fab*\"]\n",
    ),
    (
        "root/pinif.toml",
        "[audit]\npolicy = \"/etc/pinif/policy.toml\"\nenforce = true\nnetns = [\"card*\"]\n",
    ),
    // Nothing is installed yet, as dpkg sees it.
    ("var/lib/dpkg/status", ""),
    // As on Fedora and RHEL: what an RPM brings is not enabled by itself.
    ("root/99-default.preset", "disable *\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nother:x:1000:1000::/:/bin/sh\nprometheus:x:900:900::/:/bin/false\n\
         systemd-journal-remote:x:901:901::/:/bin/false\n",
    ),
    (
        "etc/group",
        "root:x:0:\nother:x:1000:\nprometheus:x:900:\nsystemd-journal-remote:x:901:\nsystemd-journal:x:902:\n",
    ),
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    (
        "etc/os-release",
        "ID=debian\nNAME=Debian\nPRETTY_NAME=Debian\n",
    ),
];

/// What systemd starts and nothing here needs. Emulated, each takes its time.
const MASKED: [&str; 11] = [
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-journal-flush.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-sysusers.service",
    "systemd-udev-trigger.service",
    "systemd-update-utmp.service",
];

/// The modules of the kernel's package that are taken: of networks, and the devices that are made.
const MODULES: [&str; 2] = ["kernel/net", "kernel/drivers/net/veth.ko*"];

/// Where the packages that are tried are.
const PACKAGES: &str = "root/packages";

/// The first Debian package, of a machine's files in a directory.
///
/// # Errors
/// Where there is none.
pub fn debian_package(directory: &Path) -> Result<PathBuf> {
    let packages = directory.join("files").join(PACKAGES);
    let mut found = Vec::new();
    for entry in fs::read_dir(packages)? {
        let path = entry?.path();
        found.extend(
            path.extension()
                .is_some_and(|of| of == "deb")
                .then_some(path),
        );
    }
    found.into_iter().min().context("no package was made")
}

/// Makes the file that the kernel unpacks, in a directory of its own.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn make(
    workspace: &Workspace,
    tools: &Tools,
    kernel: &Kernel,
    root: &Path,
    directory: &Path,
) -> Result<PathBuf> {
    let (files, first) = (directory.join("files"), directory.join("first"));
    for fresh in [&files, &first] {
        let _none = fs::remove_dir_all(fresh);
        fs::create_dir_all(fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
    }
    for (path, text) in FILES {
        write(&files.join(path), text, 0o644)?;
    }
    write(&files.join("usr/local/lib/pinif/checks"), CHECKS, 0o755)?;
    write(
        &files.join("usr/local/lib/pinif/collector"),
        COLLECTOR,
        0o755,
    )?;
    for (name, path) in DOCUMENTED {
        let path = workspace.root.join(path);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        write(&files.join("root/documented").join(name), &text, 0o644)?;
    }
    for unit in MASKED {
        symlink("/dev/null", files.join("etc/systemd/system").join(unit))?;
    }
    // dpkg starts it after each package, and looks for it before.
    write(&files.join("usr/sbin/ldconfig"), "#!/bin/sh\n", 0o755)?;
    let pinif = workspace.pinif(CHECKED);
    let sender = pinif.with_file_name("examples").join("pinif-sender");
    strip(&sender, &files.join("usr/local/bin"))?;
    strip(&pinif, directory)?;
    trial::make(workspace, &directory.join("pinif"), &files.join(PACKAGES))?;
    let busybox = tools.program("busybox");
    copy(&busybox, &files.join("usr/bin"))?;
    link_applets(&busybox, root, &files.join("usr/bin"))?;
    copy_modules(kernel, &files)?;

    write(&first.join("init"), INIT, 0o755)?;
    copy(&busybox, &first.join("bin"))?;
    run(Command::new("tar")
        .args([
            "--create",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=go-w",
            "--file",
        ])
        .arg(first.join("root.tar"))
        .arg("-C")
        .arg(root)
        .arg(".")
        .arg("-C")
        .arg(&files)
        .arg("."))?;
    let image = directory.join("image");
    archive(&busybox, &first, &image)?;
    fs::remove_dir_all(&first)?;
    Ok(image)
}

/// Has busybox stand for each of its programs that the packages do not have.
fn link_applets(busybox: &Path, root: &Path, directory: &Path) -> Result<()> {
    let list = output(Command::new(busybox).arg("--list")).context("busybox does not start")?;
    for name in list.lines().filter(|name| *name != "busybox") {
        if ["bin", "sbin"]
            .iter()
            .all(|of| !is_there(&root.join("usr").join(of).join(name)))
        {
            symlink("busybox", directory.join(name))?;
        }
    }
    Ok(())
}

/// Whether a file is there, or a link to where it will be.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn copy_modules(kernel: &Kernel, files: &Path) -> Result<()> {
    let packaged = kernel.modules()?;
    let copied = files.join("usr/lib/modules").join(&kernel.release);
    fs::create_dir_all(&copied)?;
    let script = r#"cd "$0" && cp -a --parents modules.* $2 "$1""#;
    run(Command::new("sh")
        .args(["-c", script])
        .arg(packaged)
        .arg(copied)
        .arg(MODULES.join(" ")))
}

/// Copies a program without what debuggers need, the larger part of it.
fn strip(program: &Path, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    let name = program.file_name().context("it has a name")?;
    run(Command::new("strip")
        .arg("-o")
        .arg(directory.join(name))
        .arg(program))
}
