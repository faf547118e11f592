//! What boots the machines: QEMU and its helpers, of this machine where they do what is needed, else unpacked from
//! Debian's packages.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{elf, machine::EMULATED_CPU, unpacked::Unpacked, virtme};
use crate::{
    debian::apt::{Apt, Architecture, Extent},
    process::{all_on_path, output, say},
    script::{self, word},
    workspace::Workspace,
};

/// A program that boots a machine, or serves in it.
struct Program {
    name: &'static str,
    /// Debian's package that has it.
    package: &'static str,
    /// What it is called in the package.
    file: &'static str,
    /// Environment variables that name paths in the package.
    settings: &'static [(&'static str, &'static str)],
    /// Directories of the packages in which it looks for its files (`-L`).
    searched: &'static [&'static str],
    /// Whether one does what is needed.
    is_suitable: fn(&Path) -> bool,
}

impl Program {
    /// One that needs nothing but its libraries.
    const fn plain(
        name: &'static str,
        package: &'static str,
        file: &'static str,
        is_suitable: fn(&Path) -> bool,
    ) -> Self {
        Self {
            name,
            package,
            file,
            settings: &[],
            searched: &[],
            is_suitable,
        }
    }
}

/// The one that goes into the machine's first file system as a file.
const BUSYBOX: &str = "busybox";

const PROGRAMS: [Program; 6] = [
    Program {
        settings: &[("QEMU_MODULE_DIR", "usr/lib/x86_64-linux-gnu/qemu")],
        searched: &["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"],
        ..Program::plain(
            QEMU,
            "qemu-system-x86",
            "qemu-system-x86_64",
            starts_a_machine,
        )
    },
    Program::plain(BUSYBOX, "busybox-static", "busybox", elf::is_static),
    Program::plain("depmod", "kmod", "kmod", is_kmod),
    Program::plain("modprobe", "kmod", "kmod", is_kmod),
    Program {
        settings: &[("MAGIC", "usr/lib/file/magic.mgc")],
        ..Program::plain("file", "file", "file", has_version)
    },
    Program::plain("script", "bsdutils", "script", has_version),
];

/// QEMU's program for this machine's architecture.
pub const QEMU: &str = "qemu-system-x86_64";

/// Where the tools are.
#[derive(Debug)]
pub struct Tools {
    /// A directory that has each of the programs, and virtme-ng's.
    pub bin: PathBuf,
}

impl Tools {
    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Finds what boots the machines, or brings it into `target/vm`.
///
/// # Errors
/// Where it is not on this machine and cannot be brought.
pub fn ensure(workspace: &Workspace) -> Result<Tools> {
    let bin = workspace.target.join("vm/bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    let mut missing = Vec::new();
    for program in &PROGRAMS {
        match installed(program) {
            Some(path) => link(&path, &bin.join(program.name), program)?,
            None => missing.push(program),
        }
    }
    if !missing.is_empty() {
        bring(workspace, &bin, &missing)?;
    }
    virtme::ensure(workspace, &bin)?;
    Ok(Tools { bin })
}

/// The one on this machine that does what is needed.
fn installed(program: &Program) -> Option<PathBuf> {
    all_on_path(program.name)
        .into_iter()
        .find(|path| (program.is_suitable)(path))
}

fn link(installed: &Path, path: &Path, program: &Program) -> Result<()> {
    if program.name == BUSYBOX {
        return copy(installed, path);
    }
    // A script, and no symbolic link: some programs find their files from where they are started.
    let text = format!("#!/bin/sh\nexec {} \"$@\"\n", word(installed));
    script::write(path, &text).map(drop)
}

fn copy(program: &Path, path: &Path) -> Result<()> {
    fs::copy(program, path)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", program.display(), path.display()))
}

/// Unpacks the packages of all programs, and has the missing ones start from there.
fn bring(workspace: &Workspace, bin: &Path, missing: &[&Program]) -> Result<()> {
    let root = workspace.target.join("vm/packages");
    let names: Vec<_> = missing.iter().map(|program| program.name).collect();
    let mut packages: Vec<_> = PROGRAMS.iter().map(|program| program.package).collect();
    packages.dedup();
    let remedy = || {
        let mut packages: Vec<_> = missing.iter().map(|program| program.package).collect();
        packages.dedup();
        format!(
            "the virtual machines need {}, which this machine lacks or has otherwise (Debian's packages: {})",
            names.join(", "),
            packages.join(", ")
        )
    };
    if missing.iter().all(|program| starts(&root, bin, program)) {
        return Ok(());
    }
    let apt = Apt::new(workspace, Architecture::Own).with_context(remedy)?;
    say(format_args!(
        "unpacking {} into {}",
        packages.join(" "),
        root.display()
    ));
    apt.unpack(&packages, Extent::WithDependencies, &root, |_| Ok(()))
        .with_context(remedy)?;
    for program in missing {
        if !starts(&root, bin, program) {
            bail!(
                "{} does not start from Debian's package {} in {}; {}",
                program.name,
                program.package,
                root.display(),
                remedy()
            );
        }
    }
    Ok(())
}

/// Has a program start from the unpacked packages. Whether it does what is needed.
fn starts(root: &Path, bin: &Path, program: &Program) -> bool {
    let packages = Unpacked::new(root);
    if program.name == BUSYBOX {
        // It needs no libraries.
        let unpacked = packages.program(program.file);
        return unpacked.is_some_and(|path| {
            (program.is_suitable)(&path) && copy(&path, &bin.join(program.name)).is_ok()
        });
    }
    let settings: Vec<_> = program
        .settings
        .iter()
        .map(|(variable, path)| (*variable, packages.path(path)))
        .collect();
    let arguments: Vec<_> = program
        .searched
        .iter()
        .flat_map(|path| ["-L".into(), packages.path(path)])
        .collect();
    packages
        .script(bin, program.name, program.file, &settings, &arguments)
        .is_ok_and(|script| (program.is_suitable)(&script))
}

/// Whether a QEMU starts a machine as they are started here, up to its first instruction: with software emulation, its
/// firmware, the loader of kernels, and the file system that it serves.
fn starts_a_machine(qemu: &Path) -> bool {
    let fsdev = "local,id=f,path=/,security_model=none,readonly=on";
    let devices = ["-device", "i6300esb", "-device", "vmcoreinfo", "-fsdev"];
    let served = [fsdev, "-device", "virtio-9p-pci,fsdev=f,mount_tag=t"];
    let machine = ["-machine", "q35,accel=tcg", "-cpu", EMULATED_CPU];
    let loader = ["-option-rom", "linuxboot_dma.bin"];
    starts_with(qemu, &[&machine[..], &devices, &served, &loader].concat())
}

/// Whether a QEMU starts this machine, up to its first instruction.
pub fn starts_with(qemu: &Path, machine: &[&str]) -> bool {
    let mut command = Command::new("timeout");
    command
        .arg("120")
        .arg(qemu)
        .args(machine)
        .args(["-m", "64", "-nodefaults", "-display", "none"])
        .args(["-S", "-monitor", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut start = || {
        let mut child = command.spawn()?;
        if let Some(mut monitor) = child.stdin.take() {
            // One that has ended already does not read it; its status and its errors say why.
            let _ended = monitor.write_all(b"quit\n");
        }
        child.wait_with_output()
    };
    start().is_ok_and(|output| {
        // It goes on without a file of firmware that it does not find.
        let errors = String::from_utf8_lossy(&output.stderr);
        output.status.success() && !errors.contains("Could not open")
    })
}

/// Whether it is kmod's: busybox has programs of the same names that know fewer options.
fn is_kmod(program: &Path) -> bool {
    output(Command::new(program).arg("--version")).is_some_and(|text| text.contains("kmod"))
}

fn has_version(program: &Path) -> bool {
    output(Command::new(program).arg("--version")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_only_has_the_name_is_not_suitable() {
        let directory =
            std::env::temp_dir().join(format!("pinif-xtask-tools-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let program =
            |text: &str| script::write(&directory.join("program"), text).expect("a script");
        assert!(is_kmod(&program("#!/bin/sh\necho kmod version 30\n")));
        assert!(!is_kmod(&program("#!/bin/sh\necho BusyBox v1.35.0\n")));
        assert!(starts_a_machine(&program(
            "#!/bin/sh\nread line; test \"$line\" = quit\n"
        )));
        let without_firmware = "#!/bin/sh\nread line; echo Could not open option rom >&2\n";
        assert!(!starts_a_machine(&program(without_firmware)));
        assert!(!starts_a_machine(&program("#!/bin/sh\nexit 1\n")));
        assert!(!has_version(&directory.join("not-there")));
        fs::remove_dir_all(&directory).expect("clean-up");
    }
}
