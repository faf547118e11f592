//! Which Rust toolchain builds the eBPF programs: one that has, or can build, a `core` for the kernel's machine.

mod version;

use std::{
    env,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{
    debian, linker,
    process::{all_on_path, detached, output},
    workspace::Workspace,
};

pub use version::Version;
use version::major_minor;

/// The target that the eBPF programs are built for: the machine of the kernel, little-endian as all that pinif works on.
pub const TARGET: &str = "bpfel-unknown-none";

/// What brings a toolchain where no distribution's packages do.
const RUSTUP_REMEDY: &str = "rustup toolchain install nightly --component rust-src";

/// Debian's packages with a precompiled `core` for eBPF.
pub const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];

/// A toolchain that builds the eBPF programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// Its compiler.
    pub rustc: PathBuf,
    /// Its cargo, where it has one.
    pub cargo: Option<PathBuf>,
    /// What its compiler says of itself.
    pub version: Version,
    /// Where its `core` comes from.
    pub core: Core,
}

/// Where a toolchain's `core` for [`TARGET`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// It is there, compiled.
    Precompiled,
    /// Cargo compiles it from `rust-src` (`-Z build-std=core`), which wants a nightly.
    FromSource,
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Version { release, llvm, .. } = &self.version;
        write!(f, "{} {release} with LLVM {llvm}", self.rustc.display())
    }
}

/// A toolchain of this machine, as far as the choice looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    rustc: PathBuf,
    cargo: Option<PathBuf>,
    version: Version,
    has_core: bool,
    has_source: bool,
    has_linker: bool,
}

/// Finds the toolchain to build with, or brings Debian's.
///
/// # Errors
/// Where there is none and none can be installed: says what was there, what each lacks, and what brings one.
pub fn ensure(workspace: &Workspace) -> Result<Toolchain> {
    let rejected = match find(workspace) {
        Ok(toolchain) => return Ok(toolchain),
        Err(rejected) => rejected,
    };
    let purpose = format!("a Rust toolchain that builds for {TARGET}");
    if !debian::is_here() {
        bail!(
            "{purpose} is missing, and this machine has no apt-get to bring one: `{RUSTUP_REMEDY}` does{}",
            in_words(&rejected)
        );
    }
    // A package list that is old may know only a rustc that is too old, so the second try renews it.
    for list in [debian::List::AsItIs, debian::List::Renewed] {
        debian::install(&DEBIAN_PACKAGES, &purpose, RUSTUP_REMEDY, list)?;
        if let Ok(toolchain) = find(workspace) {
            return Ok(toolchain);
        }
    }
    let rejected = find(workspace).err().unwrap_or(rejected);
    bail!(
        "{purpose} is missing, and Debian's {} brought none that works; `{RUSTUP_REMEDY}` brings one{}",
        DEBIAN_PACKAGES.join(", "),
        in_words(&rejected)
    )
}

/// Looks at this machine's toolchains and chooses.
fn find(workspace: &Workspace) -> Result<Toolchain, Vec<String>> {
    let candidates: Vec<_> = sysroots()
        .iter()
        .filter_map(|sysroot| look_at(sysroot, workspace))
        .collect();
    choose(&candidates, minimum())
}

/// Takes the first candidate with a precompiled `core`, else the first nightly that can compile it. What is wrong with
/// each is reported where none will do.
fn choose(candidates: &[Candidate], minimum: (u32, u32)) -> Result<Toolchain, Vec<String>> {
    for core in [Core::Precompiled, Core::FromSource] {
        if let Some(chosen) = candidates
            .iter()
            .find(|candidate| lack(candidate, core, minimum).is_none())
        {
            return Ok(Toolchain {
                rustc: chosen.rustc.clone(),
                cargo: chosen.cargo.clone(),
                version: chosen.version.clone(),
                core,
            });
        }
    }
    Err(candidates
        .iter()
        .filter_map(|candidate| {
            let core = if candidate.has_core {
                Core::Precompiled
            } else {
                Core::FromSource
            };
            Some(format!(
                "{}: {}",
                candidate.rustc.display(),
                lack(candidate, core, minimum)?
            ))
        })
        .collect())
}

/// What keeps a candidate from building the programs with that `core`, if anything does.
fn lack(candidate: &Candidate, core: Core, minimum: (u32, u32)) -> Option<String> {
    let Version {
        release,
        number,
        llvm,
        ..
    } = &candidate.version;
    if *number < minimum {
        return Some(format!(
            "{release} is older than {}.{}",
            minimum.0, minimum.1
        ));
    }
    match core {
        Core::Precompiled if !candidate.has_core => return Some(format!("no core for {TARGET}")),
        Core::FromSource if !candidate.version.is_nightly() => {
            return Some(format!(
                "no core for {TARGET}, and no nightly that could compile one"
            ));
        }
        Core::FromSource if !candidate.has_source => return Some("no rust-src".to_owned()),
        Core::Precompiled | Core::FromSource => {}
    }
    if !candidate.has_linker && !linker::LLVM_VERSIONS.contains(llvm) {
        return Some(format!("no bpf-linker for its LLVM {llvm}"));
    }
    None
}

/// The rejected toolchains, to end an error with.
fn in_words(rejected: &[String]) -> String {
    rejected.iter().fold(String::new(), |mut text, rejected| {
        let _ = write!(text, "\n  {rejected}");
        text
    })
}

/// The toolchains' directories: those of each rustc on `PATH`, then those of rustup.
fn sysroots() -> Vec<PathBuf> {
    let on_path = all_on_path("rustc")
        .into_iter()
        .filter_map(|rustc| output(detached(rustc).args(["--print", "sysroot"])))
        .map(|sysroot| PathBuf::from(sysroot.trim_end()));
    let of_rustup =
        output(detached("rustup").args(["toolchain", "list", "--verbose"])).unwrap_or_default();
    let mut sysroots: Vec<PathBuf> = Vec::new();
    for sysroot in on_path.chain(rustup_sysroots(&of_rustup)) {
        let sysroot = sysroot.canonicalize().unwrap_or(sysroot);
        if !sysroots.contains(&sysroot) {
            sysroots.push(sysroot);
        }
    }
    sysroots
}

/// The directories in the output of `rustup toolchain list --verbose`: the last word of each line that has one, which
/// may hold spaces.
fn rustup_sysroots(list: &str) -> impl Iterator<Item = PathBuf> + '_ {
    list.lines()
        .filter_map(|line| line.find('/').map(|start| PathBuf::from(&line[start..])))
}

/// Looks at one toolchain; `None` where its compiler does not answer.
fn look_at(sysroot: &Path, workspace: &Workspace) -> Option<Candidate> {
    let rustc = sysroot.join("bin/rustc");
    let cargo = sysroot.join("bin/cargo");
    let version = Version::of(&rustc)?;
    let rustlib = sysroot.join("lib/rustlib");
    Some(Candidate {
        cargo: cargo.is_file().then_some(cargo),
        has_core: holds_core(&rustlib.join(TARGET).join("lib")),
        has_source: rustlib.join("src/rust/library/core/src/lib.rs").is_file(),
        // Only a version that setup cannot build a linker for is worth the look for another one.
        has_linker: !linker::LLVM_VERSIONS.contains(&version.llvm)
            && linker::find(workspace, &rustc, &version).is_some(),
        rustc,
        version,
    })
}

/// Whether a directory holds a compiled `core`.
pub fn holds_core(directory: &Path) -> bool {
    directory.read_dir().is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libcore-") && name.ends_with(".rlib")
            })
        })
    })
}

/// The oldest Rust that builds this workspace.
fn minimum() -> (u32, u32) {
    major_minor(env!("CARGO_PKG_RUST_VERSION")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(release: &str, llvm: u32) -> Version {
        Version {
            release: release.to_owned(),
            number: major_minor(release).unwrap(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
            llvm,
        }
    }

    fn candidate(name: &str, release: &str) -> Candidate {
        Candidate {
            rustc: PathBuf::from(name),
            cargo: None,
            version: version(release, 22),
            has_core: false,
            has_source: false,
            has_linker: false,
        }
    }

    fn chosen(candidates: &[Candidate]) -> Result<(String, Core), Vec<String>> {
        choose(candidates, (1, 89))
            .map(|toolchain| (toolchain.rustc.display().to_string(), toolchain.core))
    }

    #[test]
    fn a_compiled_core_comes_before_a_nightly() {
        let nightly = Candidate {
            has_source: true,
            ..candidate("nightly", "1.97.0-nightly")
        };
        let debian = Candidate {
            has_core: true,
            ..candidate("debian", "1.96.0")
        };
        assert_eq!(
            chosen(&[nightly.clone(), debian]),
            Ok(("debian".to_owned(), Core::Precompiled))
        );
        assert_eq!(
            chosen(&[nightly]),
            Ok(("nightly".to_owned(), Core::FromSource))
        );
    }

    #[test]
    fn each_that_will_not_do_says_why() {
        let mut future = Candidate {
            has_core: true,
            ..candidate("future", "1.120.0")
        };
        future.version.llvm = *linker::LLVM_VERSIONS.end() + 1;
        let candidates = [
            Candidate {
                has_source: true,
                ..candidate("stable", "1.95.0")
            },
            candidate("nightly", "1.97.0-nightly"),
            Candidate {
                has_core: true,
                ..candidate("old", "1.85.0")
            },
            future.clone(),
        ];
        assert_eq!(
            chosen(&candidates),
            Err(vec![
                format!("stable: no core for {TARGET}, and no nightly that could compile one"),
                "nightly: no rust-src".to_owned(),
                "old: 1.85.0 is older than 1.89".to_owned(),
                format!("future: no bpf-linker for its LLVM {}", future.version.llvm),
            ])
        );
        future.has_linker = true;
        assert_eq!(
            chosen(&[future]),
            Ok(("future".to_owned(), Core::Precompiled))
        );
    }

    #[test]
    fn rustup_lists_its_toolchains() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default) /home/a user/.rustup/toolchains/stable
nightly-x86_64-unknown-linux-gnu /home/a user/.rustup/toolchains/nightly
";
        assert_eq!(
            rustup_sysroots(list).collect::<Vec<_>>(),
            ["stable", "nightly"]
                .map(|name| PathBuf::from(format!("/home/a user/.rustup/toolchains/{name}")))
        );
        assert_eq!(rustup_sysroots("no installed toolchains\n").count(), 0);
    }
}
