//! The kernels: Debian's packages, unpacked, never installed.

use std::{
    cmp::Ordering,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::tools::Tools;
use crate::{
    debian::apt::{Apt, Architecture, Extent},
    process::run,
    workspace::Workspace,
};

/// A family of each hook.
macro_rules! families {
    () => {
        "test(/^(escapes|existing|pin|sockets)::/) | test(/^(run::attempts|enforce::leaks|enforce::neighbours)::/) \
         | test(=contained::unicast) | test(=ingress::contained::within) | test(/^gaps::a_packet_socket/)"
    };
}

/// A line of kernels that pinif must work on, beside the one that runs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Line {
    /// The oldest, which most chassis cards run: Debian 11's.
    #[value(name = "5.10")]
    V5_10,
    /// Debian 12's.
    #[value(name = "6.1")]
    V6_1,
    /// The first with long support that has TCX and netkit: Debian 13's, and in Debian 12's updates.
    #[value(name = "6.12")]
    V6_12,
}

impl Line {
    /// All, the oldest first.
    pub const ALL: [Self; 3] = [Self::V5_10, Self::V6_1, Self::V6_12];

    /// Its version.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }

    /// Which tests `cargo xtask test` has on it, as a filterset of nextest's: emulated, all of them would take an hour on a slow machine. Each
    /// kernel has a family of each hook, with what stands in for what the kernel lacks. What asks a kernel runs on 6.1 or on 6.12: what
    /// judges packets where filters are attached to a clsact qdisc, what attaches, holds and outlives where TCX is. When `--enforce` begins and ends,
    /// and who takes it over, is no kernel's, nor is what a rule says of a packet.
    /// What the collector alone decides (which remedy a finding of each link and route has, how a terminal is drawn, what it answers on its socket
    /// and over HTTP, which findings a policy accepts) runs here on this machine's kernel. `cargo xtask vm` runs all of them on each.
    pub const fn selection(self) -> &'static str {
        match self {
            Self::V5_10 => families!(),
            Self::V6_1 => {
                concat!(
                    families!(),
                    " | (binary(audit) & not test(/^(persist|named_routes|remedies|enforce::takeover|enforce::until)::/)",
                    " & not test(/^(exceptions|mistakes|programs|namespaces::named|multipath::remedies)::/)",
                    " & not test(/^(answers|domains|enforce::rules|policy_escapes|policy_names|stacks)::/))",
                    " | test(/^remedies::(arp_flux|groups)::/) | test(/^remedies::devices::.*vrf/)"
                )
            }
            Self::V6_12 => concat!(
                families!(),
                " | (not binary(audit) & not test(/^(accept|settings|top|unmatched)::/) & not test(/^control::/)",
                " & not test(/^serve::(exec|history|secure|secure_files|secure_readers|web)::/)) | test(/^control::sockets::/)",
                " | test(/^(integrity|persist|stacks|verified)::/) | test(/^named_routes::.*_vrf_/)"
            ),
        }
    }
}

/// An unpacked kernel, with its modules beside it as virtme-ng looks for them.
#[derive(Debug)]
pub struct Kernel {
    /// Its line.
    pub line: Line,
    /// What `uname -r` says in it.
    pub release: String,
    /// Its image, `boot/vmlinuz-RELEASE`.
    pub image: PathBuf,
}

impl Kernel {
    /// The directory of its modules.
    ///
    /// # Errors
    /// Where the image is not beside them.
    pub fn modules(&self) -> Result<PathBuf> {
        let package = self.image.ancestors().nth(2);
        let package = package.context("the image is in no unpacked package")?;
        Ok(package.join("lib/modules").join(&self.release))
    }
}

/// Finds the kernel in `target/vm/kernels`, or brings it there.
///
/// # Errors
/// Where this machine's apt has none, or it cannot be downloaded.
pub fn ensure(
    workspace: &Workspace,
    tools: &Tools,
    line: Line,
    architecture: Architecture,
) -> Result<Kernel> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the machines are started on x86-64 alone");
    }
    let (kernels, suffix) = match architecture {
        Architecture::Own => ("vm/kernels", "-amd64"),
        Architecture::Arm64 => ("vm/arm64/kernels", "-arm64"),
    };
    let kernels = workspace.target.join(kernels);
    fs::create_dir_all(&kernels).with_context(|| format!("cannot make {}", kernels.display()))?;
    let directory = kernels.join(line.name());
    if let Some(kernel) = unpacked(&directory, line) {
        return Ok(kernel);
    }
    let apt = Apt::new(workspace, architecture)?;
    let package = package(&apt, line, suffix)?;
    let depmod = tools.program("depmod");
    apt.unpack(&[&package], Extent::Alone, &directory, |aside| {
        complete(&depmod, aside)
    })?;
    unpacked(&directory, line)
        .with_context(|| format!("the package {package} has no kernel with modules in it"))
}

/// The kernel in a directory that a package was unpacked to.
fn unpacked(directory: &Path, line: Line) -> Option<Kernel> {
    fs::read_dir(directory.join("boot"))
        .ok()?
        .filter_map(|entry| {
            let image = entry.ok()?.path();
            let release = image.file_name()?.to_str()?.strip_prefix("vmlinuz-")?;
            let modules = directory.join("lib/modules").join(release);
            modules.join("modules.dep").is_file().then(|| Kernel {
                line,
                release: release.to_owned(),
                image: image.clone(),
            })
        })
        .next()
}

/// Completes an unpacked package, with kmod's `depmod`.
fn complete(depmod: &Path, directory: &Path) -> Result<()> {
    // Debian's newer packages have the modules in /usr only.
    if directory.join("usr/lib/modules").is_dir() && !directory.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", directory.join("lib"))?;
    }
    for modules in fs::read_dir(directory.join("lib/modules"))? {
        run(Command::new(depmod)
            .arg("-b")
            .arg(directory)
            .arg(modules?.file_name()))?;
    }
    Ok(())
}

/// The newest package of a line that apt can download.
fn package(apt: &Apt, line: Line, suffix: &str) -> Result<String> {
    let prefix = format!("linux-image-{}.", line.name());
    let newest = |names: &str| {
        names
            .lines()
            .filter(|name| is_image(name, &prefix, suffix))
            .max_by(|a, b| by_numbers(a, b))
            .map(str::to_owned)
    };
    let missing = format!(
        "apt knows no package {prefix}*{suffix} on this machine: add the Debian release that has it to apt's sources"
    );
    apt.choose(&prefix, newest, &missing)
}

/// Whether a package is the ordinary kernel of a line: neither for clouds nor for real time, and with its signature.
fn is_image(name: &str, prefix: &str, suffix: &str) -> bool {
    name.strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(suffix))
        .is_some_and(|version| {
            // As in `12.117+deb12` or `0-56`: a variant comes behind a further dash.
            let (version, release) = version.split_once('+').unwrap_or((version, "deb"));
            let is_version = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
            version.chars().all(is_version) && release.chars().all(|c| c.is_ascii_alphanumeric())
        })
}

/// Orders names by the numbers in them.
fn by_numbers(a: &str, b: &str) -> Ordering {
    let numbers = |name: &str| -> Vec<u64> {
        name.split(|c: char| !c.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok())
            .collect()
    };
    numbers(a).cmp(&numbers(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ordinary_kernels_are_distinguished_from_their_variants() {
        let is = |name| is_image(name, "linux-image-6.1.", "-amd64");
        assert!(is("linux-image-6.1.0-56-amd64"));
        assert!(!is("linux-image-6.1.0-56-cloud-amd64"));
        assert!(!is("linux-image-6.1.0-56-rt-amd64"));
        assert!(!is("linux-image-6.1.0-56-amd64-dbg"));
        assert!(!is("linux-image-6.1.0-56-amd64-unsigned"));
        assert!(!is("linux-image-6.12.117+deb12-amd64"));
        assert!(is_image(
            "linux-image-6.12.117+deb12-amd64",
            "linux-image-6.12.",
            "-amd64"
        ));
        assert!(!is_image(
            "linux-image-6.12.117+deb12-rt-amd64",
            "linux-image-6.12.",
            "-amd64"
        ));
        let is = |name| is_image(name, "linux-image-6.12.", "-arm64");
        assert!(is("linux-image-6.12.117+deb12-arm64"));
        assert!(!is("linux-image-6.12.117+deb12-arm64-16k"));
        assert!(!is("linux-image-6.12.117+deb12-amd64"));
    }

    #[test]
    fn the_newest_is_the_one_with_the_greatest_numbers() {
        assert_eq!(
            by_numbers("6.1.0-9-amd64", "6.1.0-56-amd64"),
            Ordering::Less
        );
        assert_eq!(
            by_numbers("6.12.117+deb12-amd64", "6.12.38+deb13-amd64"),
            Ordering::Greater
        );
    }
}
