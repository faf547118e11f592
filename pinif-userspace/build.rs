//! Puts the eBPF object where `kernel/load.rs` includes it: `OUT_DIR/pinif.o`.
//!
//! `cargo xtask build` leaves the object at `bpf/pinif.o` in the target directory; `PINIF_EBPF_OBJECT` names another one.
//! Without one the file is empty, so that everything that needs no kernel still builds, is checked and is tested.

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::SystemTime,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PINIF_EBPF_OBJECT");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let object = match env::var_os("PINIF_EBPF_OBJECT") {
        Some(object) => PathBuf::from(object),
        None => object_of_xtask(&out)?,
    };
    println!("cargo::rerun-if-changed={}", object.display());
    let programs =
        fs::read(&object).map_err(|error| format!("cannot read {}: {error}", object.display()))?;
    if programs.is_empty() {
        println!(
            "cargo::warning=this pinif has no eBPF programs inside; `cargo xtask build` makes one that has"
        );
    }
    fs::write(out.join("pinif.o"), programs)?;
    Ok(())
}

/// Where `cargo xtask build` puts the object. An empty one is left there until then: cargo takes a file that is missing
/// for one that has changed, and would build pinif anew each time.
fn object_of_xtask(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let object = target_directory(out)?.join("bpf/pinif.o");
    fs::create_dir_all(object.with_file_name(""))?;
    match File::create_new(&object) {
        // Older than this build, which therefore has seen it.
        Ok(empty) => empty.set_modified(SystemTime::UNIX_EPOCH)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    Ok(object)
}

/// The target directory: what is above `PROFILE/build/…` in `OUT_DIR`, or above `TARGET/PROFILE/build/…` where cargo is
/// told to build for a target by name.
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
