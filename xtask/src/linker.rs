//! bpf-linker: links the programs' bitcode into one eBPF object, with the LLVM of the compiler that wrote it.

use std::{
    fs,
    io::Write as _,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    debian,
    process::{all_on_path, detached, output, run, say, which},
    toolchain::{TARGET, Toolchain, Version},
    workspace::Workspace,
};

/// The release that setup builds.
const RELEASE: &str = "0.13.0";

/// The LLVM versions that [`RELEASE`] can be built with.
pub const LLVM_VERSIONS: RangeInclusive<u32> = 21..=23;

/// Finds the linker for a toolchain, or builds it.
///
/// # Errors
/// Where it is not there and cannot be built.
pub fn ensure(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    if let Some(linker) = find(workspace, &toolchain.rustc, &toolchain.version) {
        return Ok(linker);
    }
    let llvm = toolchain.version.llvm;
    let prefix = ensure_llvm(llvm)?;
    say(format_args!(
        "building bpf-linker {RELEASE} with the LLVM {llvm} in {} (about a minute)",
        prefix.display()
    ));
    run(workspace
        .installation("bpf-linker", RELEASE)
        .env("LLVM_PREFIX", &prefix)
        // LLVM, which is optimized, does the work: without optimization this is built in two fifths of the time (38 s of a processor instead of 94),
        // and links the programs in a second more.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .args(["--debug", "--force", "--no-default-features"])
        .args(["--features", &feature(llvm)]))
    .context("bpf-linker could not be built")?;
    find(workspace, &toolchain.rustc, &toolchain.version).with_context(|| {
        format!(
            "the bpf-linker in {} does not start",
            workspace.tools().display()
        )
    })
}

/// Finds a linker that reads the compiler's bitcode: the one that setup built for its LLVM, else one on `PATH`.
pub fn find(workspace: &Workspace, rustc: &Path, version: &Version) -> Option<PathBuf> {
    let tools = workspace.tools();
    let ours = tools.join("bin/bpf-linker");
    let installed = fs::read_to_string(tools.join(".crates2.json")).unwrap_or_default();
    if was_built_with(&installed, version.llvm)
        && output(detached(&ours).arg("--version")).is_some()
    {
        return Some(ours);
    }
    all_on_path("bpf-linker")
        .into_iter()
        .find(|linker| links(linker, rustc))
}

/// Whether a `cargo install` root's `.crates2.json` records our release, built with that LLVM.
fn was_built_with(installed: &str, llvm: u32) -> bool {
    let Ok(installed) = serde_json::from_str::<serde_json::Value>(installed) else {
        return false;
    };
    let ours = format!("bpf-linker {RELEASE} ");
    let feature = feature(llvm);
    installed["installs"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(package, _)| package.starts_with(&ours))
        .filter_map(|(_, install)| install["features"].as_array())
        .any(|features| features.iter().any(|name| *name == *feature))
}

fn feature(llvm: u32) -> String {
    format!("llvm-{llvm}")
}

/// Whether a linker links what the compiler writes: tried with a crate that is empty, and so needs no `core`.
fn links(linker: &Path, rustc: &Path) -> bool {
    let Ok(mut compiler) = detached(rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .args([
            "--crate-name",
            "probe",
            "--edition",
            "2024",
            "--target",
            TARGET,
        ])
        .arg("-Clinker=".to_owned() + &linker.to_string_lossy())
        .args(["-o", "/dev/null", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
    else {
        return false;
    };
    // A compiler that ends before it has read all fails by its status.
    if let Some(mut source) = compiler.stdin.take() {
        let _ = source.write_all(b"#![feature(no_core)]\n#![no_core]\n#![no_main]\n");
    }
    compiler.wait().is_ok_and(|status| status.success())
}

/// Finds where an LLVM's libraries and `llvm-config` are, or brings Debian's.
fn ensure_llvm(llvm: u32) -> Result<PathBuf> {
    if let Some(prefix) = llvm_prefix(llvm) {
        return Ok(prefix);
    }
    let purpose = format!("LLVM {llvm}'s development files, which bpf-linker is built with,");
    let remedy = format!(
        "your distribution's package of LLVM {llvm} with `llvm-config`, or a bpf-linker on PATH"
    );
    if !debian::is_here() {
        bail!(
            "{purpose} are missing, and this machine has no apt-get to bring them: install {remedy}"
        );
    }
    debian::install(
        &[&format!("llvm-{llvm}-dev")],
        &purpose,
        &remedy,
        debian::List::AsItIs,
    )?;
    llvm_prefix(llvm)
        .with_context(|| format!("llvm-{llvm}-dev is installed, but has no libLLVM.so"))
}

/// LLVM's `objcopy`, where there is one of the compiler's version or another. GNU's knows no eBPF.
pub fn objcopy(llvm: u32) -> Option<PathBuf> {
    let beside = llvm_prefix(llvm).map(|prefix| prefix.join("bin/llvm-objcopy"));
    beside
        .filter(|program| program.is_file())
        .or_else(|| which(&format!("llvm-objcopy-{llvm}")))
        .or_else(|| which("llvm-objcopy"))
}

/// Where an LLVM of that major version is, if it has what a program links with.
fn llvm_prefix(llvm: u32) -> Option<PathBuf> {
    let of_debian = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    let by_config = [format!("llvm-config-{llvm}"), "llvm-config".to_owned()]
        .iter()
        .filter_map(|name| {
            let config = which(name)?;
            let version = output(detached(&config).arg("--version"))?;
            let prefix = output(detached(&config).arg("--prefix"))?;
            (version.split('.').next()?.parse() == Ok(llvm))
                .then(|| PathBuf::from(prefix.trim_end()))
        })
        .collect::<Vec<_>>();
    std::iter::once(of_debian)
        .chain(by_config)
        .find(|prefix| prefix.join("lib/libLLVM.so").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates(package: &str, feature: &str) -> String {
        format!(
            r#"{{"installs":{{"{package} (registry+https://example.org)":{{"features":["{feature}"]}}}}}}"#
        )
    }

    #[test]
    fn a_linker_of_another_llvm_or_release_is_not_ours() {
        let ours = format!("bpf-linker {RELEASE}");
        assert!(was_built_with(&crates(&ours, "llvm-22"), 22));
        assert!(!was_built_with(&crates(&ours, "llvm-22"), 23));
        assert!(!was_built_with(&crates(&ours, "llvm-2"), 22));
        assert!(!was_built_with(&crates("bpf-linker 0.9.15", "llvm-22"), 22));
        assert!(!was_built_with(
            &crates("cargo-nextest 0.9.114", "default"),
            22
        ));
    }

    #[test]
    fn a_record_that_cannot_be_read_records_nothing() {
        for record in [
            "",
            "[]",
            "{}",
            r#"{"installs":[]}"#,
            r#"{"installs":{"bpf-linker 0.13.0 ":1}}"#,
        ] {
            assert!(!was_built_with(record, 22), "{record}");
        }
    }
}
