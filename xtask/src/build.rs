//! `cargo xtask build`: the eBPF object, then the pinif that holds it.

mod ahead;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

pub use ahead::Ahead;

use crate::{
    cross::Cross,
    linker,
    process::{detached, output, run as run_command, run_cargo, say},
    remap,
    setup::{self, BuildTools},
    target::Target,
    toolchain::{Core, TARGET, Version},
    workspace::Workspace,
};

/// How pinif itself is built. The eBPF programs are always optimized: the kernel's verifier takes no others.
#[derive(Debug, Default, clap::Args)]
pub struct Profile {
    /// Build an optimized pinif (the default)
    #[arg(long)]
    release: bool,
    /// Build a pinif with debug assertions: target/debug/pinif
    #[arg(long, conflicts_with = "release")]
    debug: bool,
}

/// How pinif is built, and for what.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profile: Profile,
    /// For this target: target/TARGET/release/pinif. For the other architecture it is linked statically
    #[arg(long)]
    target: Option<Target>,
}

impl Profile {
    /// The directory of what it builds.
    const fn directory(&self) -> &'static str {
        if self.debug { "debug" } else { "release" }
    }
}

/// The binary targets of `pinif-ebpf`, and the files that `pinif-userspace/build` takes them from.
const OBJECTS: [(&str, &str); 2] = [("pinif-programs", "pinif.o"), ("pinif-pins", "pins.o")];

/// Runs the task.
///
/// # Errors
/// Where a tool is missing or the build fails.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let pinif = match args.target {
        Some(target) => build_for(workspace, &args.profile, target)?,
        None => build(workspace, &args.profile)?,
    };
    println!(
        "{}",
        pinif
            .strip_prefix(&workspace.root)
            .unwrap_or(&pinif)
            .display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Builds pinif with its eBPF programs inside, and returns where it is.
///
/// # Errors
/// Where a tool is missing or the build fails.
pub fn build(workspace: &Workspace, profile: &Profile) -> Result<PathBuf> {
    let pinif = workspace.pinif(profile.directory());
    let mut cargo = workspace.cargo();
    cargo.arg("build");
    let mut cargo = cargo_for_pinif(cargo, profile);
    if pinif.is_file() {
        build_ebpf(workspace)?;
        run_cargo(&mut cargo)?;
    } else {
        build_first(workspace, cargo)?;
    }
    there(pinif)
}

/// The same for a target that is named. The programs are the same ones: a kernel's machine for them is one on each.
fn build_for(workspace: &Workspace, profile: &Profile, target: Target) -> Result<PathBuf> {
    build_ebpf(workspace)?;
    let cargo = if target.is_of_this_machine() {
        let mut cargo = workspace.cargo();
        cargo
            .args(["build", "--target", target.name(), "--target-dir"])
            .arg(&workspace.target);
        cargo
    } else {
        Cross::ensure(workspace, target)?.cargo(workspace, "build")
    };
    run_cargo(&mut cargo_for_pinif(cargo, profile))?;
    there(workspace.built_for(target, profile.directory(), "pinif"))
}

/// A first build, which takes minutes: its steps are shown.
fn build_first(workspace: &Workspace, cargo: Command) -> Result<()> {
    let began = Instant::now();
    let step = |number: u32, what: &str| {
        let seconds = began.elapsed().as_secs();
        say(format_args!(
            "step {number} of 3, after {seconds} s: {what}"
        ));
    };
    step(
        1,
        "what builds the eBPF programs (a compiler of Debian's, bpf-linker), and meanwhile the libraries that pinif stands on",
    );
    let ahead = Ahead::start(workspace, cargo)?;
    setup::ensure_build_tools(workspace)?;
    step(2, "the eBPF programs");
    build_ebpf(workspace)?;
    step(3, "the rest of pinif");
    ahead.finish(workspace)
}

/// Cargo, as it builds pinif.
fn cargo_for_pinif(mut cargo: Command, profile: &Profile) -> Command {
    cargo.args(["--package", "pinif-userspace", "--bin", "pinif"]);
    if !profile.debug {
        cargo.arg("--release");
    }
    cargo
}

fn there(pinif: PathBuf) -> Result<PathBuf> {
    if !pinif.is_file() {
        bail!("cargo built no {}", pinif.display());
    }
    Ok(pinif)
}

/// Where [`build_ebpf`] puts the objects.
pub fn objects(workspace: &Workspace) -> [PathBuf; 2] {
    OBJECTS.map(|(_, object)| workspace.target.join("bpf").join(object))
}

/// Builds the eBPF objects, and puts them where pinif's build takes them.
///
/// # Errors
/// Where a tool is missing or the build fails.
pub fn build_ebpf(workspace: &Workspace) -> Result<()> {
    let tools = setup::ensure_build_tools(workspace)?;
    let directory = workspace.target.join("bpf");
    run_cargo(&mut ebpf_cargo(workspace, &tools, &directory))
        .context("the eBPF programs could not be built")?;
    let built = directory.join(TARGET).join("release");
    let objcopy = linker::objcopy(tools.toolchain.version.llvm);
    let compiler = built.join("compiler");
    fs::write(&compiler, made_by(&tools))
        .with_context(|| format!("cannot write {}", compiler.display()))?;
    for (program, object) in OBJECTS {
        let mut programs = built.join(program);
        if let Some(objcopy) = &objcopy {
            let stripped = programs.with_extension("stripped");
            // What debuggers read is three quarters of it. The kernel and aya read BTF, which stays. Which compiler made it is where ELF has
            // that: what the programs execute is compared with numbers of the same compiler alone.
            run_command(
                Command::new(objcopy)
                    .arg("--strip-debug")
                    .arg(format!("--add-section=.comment={}", compiler.display()))
                    .args([&programs, &stripped]),
            )?;
            programs = stripped;
        }
        replace_if_changed(&programs, &directory.join(object))?;
    }
    Ok(())
}

/// The compiler and the linker that make the objects, in words.
fn made_by(tools: &BuildTools) -> String {
    let Version { release, llvm, .. } = &tools.toolchain.version;
    let linker = output(detached(&tools.linker).arg("--version"));
    let linker = linker.as_deref().map_or("an unknown linker", str::trim);
    format!("rustc {release} with LLVM {llvm}, {linker}")
}

/// The command that builds the eBPF programs, into a target directory of their own.
fn ebpf_cargo(workspace: &Workspace, tools: &BuildTools, directory: &Path) -> Command {
    let own = tools.toolchain.cargo.clone();
    let cargo = own.unwrap_or_else(|| workspace.cargo().get_program().into());
    let mut command = detached(cargo);
    command
        .current_dir(&workspace.root)
        .args(["build", "--release", "--package", "pinif-ebpf"])
        .args(OBJECTS.iter().flat_map(|(program, _)| ["--bin", program]))
        .args(["--target", TARGET, "--target-dir"])
        .arg(directory)
        .env("RUSTC", &tools.toolchain.rustc)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rustflags(workspace, &tools.linker).join("\x1f"),
        )
        // The BTF that bpf-linker writes comes from full debug information, and describes one unit at a time.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    match tools.toolchain.core {
        // What of the language is unstable on this target is used by these crates alone.
        Core::Precompiled => command.env(
            "RUSTC_BOOTSTRAP",
            "aya_ebpf,pinif_ebpf,pinif_programs,pinif_pins",
        ),
        Core::FromSource => command.args(["-Z", "build-std=core"]),
    };
    command
}

/// The compiler's flags for the eBPF programs. aya-ebpf takes the registers' layout from `bpf_target_arch`.
fn rustflags(workspace: &Workspace, linker: &Path) -> Vec<String> {
    let mut flags = remap::flags(workspace);
    flags.extend([
        format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH),
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".to_owned(),
        // Else LLVM makes a call of each clearing and moving, also of a few bytes, to a function that goes byte by byte.
        "-Clink-arg=--disable-expand-memcpy-in-order".to_owned(),
    ]);
    flags
}

/// Copies a file unless the copy has the same bytes, so that what is built from the copy is not built again.
fn replace_if_changed(from: &Path, to: &Path) -> Result<()> {
    let built =
        fs::read(from).with_context(|| format!("the eBPF build left no {}", from.display()))?;
    if fs::read(to).is_ok_and(|copy| copy == built) {
        return Ok(());
    }
    fs::write(to, built).with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_the_same_is_left_alone() {
        let directory = env::temp_dir().join(format!("pinif-xtask-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (from, to) = (directory.join("from"), directory.join("to"));
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();

        fs::write(&from, "programs").unwrap();
        replace_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "programs");

        fs::File::options()
            .write(true)
            .open(&to)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        replace_if_changed(&from, &to).unwrap();
        assert_eq!(written(&to), long_ago);

        fs::write(&from, "other programs").unwrap();
        replace_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "other programs");
        assert_ne!(written(&to), long_ago);
        fs::remove_dir_all(&directory).unwrap();
    }
}
