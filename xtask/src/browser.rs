//! What the tests show the page of `pinif serve` with: Debian's headless Chromium, and axe-core, which looks for what keeps people from using
//! a page (WCAG).

use std::{
    env::consts::ARCH,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    debian::{
        apt::{Apt, Architecture, Extent},
        libraries,
    },
    process::say,
    pypi,
    workspace::Workspace,
};

const PACKAGES: [&str; 2] = ["chromium-headless-shell", "fonts-dejavu-core"];
/// Where the packages have the browser, with what it reads, and the fonts.
const FOLDERS: [&str; 2] = ["usr/lib/chromium", "usr/share/fonts/truetype/dejavu"];
/// A folder of libraries that others find by a path of their own; ARCH is the architecture.
const FOUND_BY_PATH: &str = "usr/lib/ARCH-linux-gnu/pulseaudio";
/// The fonts, as fontconfig reads of them (fonts-conf(5)).
const FONTS: &str = "<?xml version=\"1.0\"?>
<fontconfig>
  <dir prefix=\"relative\">dejavu</dir>
  <cachedir prefix=\"xdg\">fontconfig</cachedir>
</fontconfig>
";

/// A package of PyPI that has axe-core's script, its release, and the SHA-256 of its archive. No Python of it is run.
const AXE: (&str, &str, &str) = (
    "axe-playwright-python",
    "0.1.8",
    "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8",
);
/// Where that package has the script, and what it is called here.
const AXE_SCRIPT: (&str, &str) = ("axe_playwright_python/axe.min.js", "axe.min.js");

/// Where the tests find both, as the environment says it.
pub const VARIABLE: &str = "PINIF_TEST_BROWSER";

/// Where the browser is with its libraries and fonts, and the script, once they were brought.
pub fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vm/browser")
}

/// Finds the browser and the script in their directory, or brings them there.
///
/// # Errors
/// Where apt or pip cannot download a package, or it cannot be unpacked.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let directory = directory(workspace);
    if !directory.join("chromium").exists() {
        let apt = Apt::new(workspace, Architecture::Own)?;
        apt.unpack(&PACKAGES, Extent::ForThisMachine, &directory, |directory| {
            let found = directory.join(FOUND_BY_PATH.replace("ARCH", ARCH));
            for library in fs::read_dir(&found).into_iter().flatten() {
                let library = library?;
                fs::rename(library.path(), found.with_file_name(library.file_name()))?;
            }
            libraries::keep(directory, &FOLDERS)?;
            fs::write(directory.join("fonts.conf"), FONTS)?;
            Ok(())
        })?;
    }
    if directory.join(AXE_SCRIPT.1).exists() {
        return Ok(());
    }
    bring_axe(workspace, &directory)
}

/// Downloads the archive that has the script, and leaves the script alone.
fn bring_axe(workspace: &Workspace, directory: &Path) -> Result<()> {
    let (package, release, digest) = AXE;
    say(format_args!(
        "downloading {package} {release}, for axe-core"
    ));
    let aside = directory.join("axe");
    pypi::unpack(
        workspace,
        &format!("{package}=={release} --hash=sha256:{digest}"),
        &["--require-hashes"],
        &aside,
        "axe-core cannot be downloaded: pip must reach PyPI",
    )?;
    let (place, name) = AXE_SCRIPT;
    fs::rename(aside.join(place), directory.join(name))
        .with_context(|| format!("{package} has no {place}"))?;
    fs::remove_dir_all(&aside)?;
    Ok(())
}
