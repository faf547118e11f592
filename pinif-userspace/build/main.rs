//! Puts the eBPF objects where `kernel/` includes them: `OUT_DIR/pinif.o` for the audit, `OUT_DIR/pins.o` for pins.
//!
//! `cargo xtask build` leaves them in `bpf` of the target directory; a packaged crate has them in `objects` (`cargo xtask package`);
//! `PINIF_EBPF_OBJECT` and `PINIF_PINS_OBJECT` name others. Without one the file is empty, so that everything that needs no kernel still builds, is checked and is tested;
//! in an optimized pinif, which is installed, that is an error ([`empty`]).

mod empty;
mod target;

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::SystemTime,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed={}", empty::ALLOWED);
    if !is_for_what_is_tested()? {
        println!("cargo::error={}", target::refusal(&env::var("TARGET")?));
        return Ok(());
    }
    wait_for_objects()?;
    for (name, variable) in [
        ("pinif.o", "PINIF_EBPF_OBJECT"),
        ("pins.o", "PINIF_PINS_OBJECT"),
    ] {
        take(name, variable)?;
    }
    Ok(())
}

/// Waits until the eBPF objects are there, where `cargo xtask build` makes them meanwhile, for this build or another one: until then it holds a
/// lock on a file. It dates them to when that began, so that a build which began since then and did not wait would not see that they are new.
fn wait_for_objects() -> Result<(), Box<dyn Error>> {
    // What no cargo builds has no such directory, and no lock in it.
    let target = target_directory(Path::new(&env::var("OUT_DIR")?)).ok();
    if let Some(lock) = target.and_then(|target| File::open(target.join("objects.lock")).ok()) {
        // Where there are no locks, the objects are looked for now.
        let _locked = lock.lock_shared();
    }
    Ok(())
}

/// Whether the target is one that pinif works on. With which C library is the builder's choice.
fn is_for_what_is_tested() -> Result<bool, Box<dyn Error>> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH")?;
    let mut tested = target::TESTED.into_iter();
    let is_tested = tested.any(|(_, tested)| tested == architecture);
    Ok(is_tested && env::var("CARGO_CFG_TARGET_OS")? == "linux")
}

fn take(name: &str, variable: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={variable}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let object = match env::var_os(variable) {
        Some(object) => PathBuf::from(object),
        None => match object_of_package(name)? {
            Some(object) => object,
            None => object_of_xtask(&out, name)?,
        },
    };
    println!("cargo::rerun-if-changed={}", object.display());
    let programs =
        fs::read(&object).map_err(|error| format!("cannot read {}: {error}", object.display()))?;
    if programs.is_empty() {
        println!(
            "{}",
            empty::message(
                name,
                variable,
                &env::var("PROFILE")?,
                env::var_os(empty::ALLOWED).as_deref()
            )
        );
    }
    fs::write(out.join(name), programs)?;
    Ok(())
}

/// The object that came with this crate's sources.
fn object_of_package(name: &str) -> Result<Option<PathBuf>, Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let object = manifest.join("objects").join(name);
    Ok(object.is_file().then_some(object))
}

/// Where `cargo xtask build` puts an object. An empty one is left there until then: cargo takes a file that is missing
/// for one that has changed, and would build pinif anew each time.
fn object_of_xtask(out: &Path, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let object = target_directory(out)?.join("bpf").join(name);
    fs::create_dir_all(object.with_file_name(""))?;
    match File::create_new(&object) {
        // Older than this build, which therefore has seen it.
        Ok(empty) => empty.set_modified(SystemTime::UNIX_EPOCH)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    Ok(object)
}

/// The target directory: what is above `PROFILE/build/…` in `OUT_DIR`, or above `TARGET/PROFILE/build/…` where cargo
/// builds for a target that is named.
fn target_directory(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let directory = out
        .ancestors()
        .find(|directory| directory.ends_with("build"))
        .and_then(|build| build.ancestors().nth(2))
        .ok_or_else(|| format!("{} is in no target directory", out.display()))?;
    match directory.parent() {
        Some(parent) if directory.ends_with(env::var("TARGET")?) => Ok(parent.to_owned()),
        _ => Ok(directory.to_owned()),
    }
}
