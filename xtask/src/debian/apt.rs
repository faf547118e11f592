//! Debian's packages, downloaded by an apt with state of its own and unpacked: nothing on the machine changes.
//!
//! Its list of installed packages is empty. So apt resolves each dependency down to the C library, nothing conflicts with
//! what is installed, and it needs no root. Its sources are the machine's, and its release's backports. There is one for the
//! machine's own architecture, and one for each other.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::sources;
use crate::{
    debian,
    process::{output, run, say},
    workspace::Workspace,
};

/// Which packages are unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Those that are named.
    Alone,
    /// Those, and all that they depend on: of the backports, where these have them.
    WithDependencies,
    /// Those, and all that they depend on, as the release itself has them.
    OfRelease,
    /// The same without the C library, for programs that this machine's own loader starts: it starts none with another C
    /// library than that beside it.
    ForThisMachine,
}

/// The architecture of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// This machine's.
    Own,
    /// arm64, as Debian calls it.
    Arm64,
}

/// How the archive of the C library's package begins.
const LIBC: &str = "libc6_";

/// Leaves of unpacked packages these files alone, each of a place and a name, in the directory itself.
///
/// # Errors
/// Where one is not there, or something cannot be moved or removed.
pub fn keep_alone<'a>(
    directory: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<()> {
    for (place, name) in files {
        fs::rename(directory.join(place).join(name), directory.join(name))
            .with_context(|| format!("no package has {name}"))?;
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

/// An apt with its state in one directory.
#[derive(Debug)]
pub struct Apt {
    directory: PathBuf,
    configuration: PathBuf,
    /// The code name of the machine's Debian.
    release: Option<String>,
}

impl Apt {
    /// The apt that has the machine's sources, with its state in `target/vm/apt`, or beside it.
    ///
    /// # Errors
    /// Where the machine has no apt, or the directory cannot be written.
    pub fn new(workspace: &Workspace, architecture: Architecture) -> Result<Self> {
        if !debian::is_here() {
            bail!("this machine has no apt-get to download Debian's packages with");
        }
        let directory = workspace.target.join(match architecture {
            Architecture::Own => "vm/apt",
            Architecture::Arm64 => "vm/apt-arm64",
        });
        let apt = Self {
            configuration: directory.join("apt.conf"),
            directory,
            release: sources::release(),
        };
        apt.prepare(architecture)
            .with_context(|| format!("cannot write in {}", apt.directory.display()))?;
        Ok(apt)
    }

    fn prepare(&self, architecture: Architecture) -> std::io::Result<()> {
        // apt makes none of them, and fails where one is missing.
        for name in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(self.directory.join(name))?;
        }
        fs::write(self.status(), "")?;
        let mut text = configuration(&self.directory, &self.status(), architecture);
        if let Some(release) = &self.release {
            let list = self.directory.join("sources.list");
            let sources = sources::list(release);
            fs::write(
                &list,
                match architecture {
                    Architecture::Own => sources,
                    Architecture::Arm64 => sources::of_any_architecture(&sources),
                },
            )?;
            text += &format!("Dir::Etc::sourcelist \"{}\";\n", list.display());
        }
        fs::write(&self.configuration, text)
    }

    fn status(&self) -> PathBuf {
        self.directory.join("status")
    }

    fn archives(&self) -> PathBuf {
        self.directory.join("archives")
    }

    fn has_lists(&self) -> bool {
        fs::read_dir(self.directory.join("lists")).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
        })
    }

    /// A program of apt's. It asks nothing, and waits for another one that uses the same directory.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .arg("-c")
            .arg(&self.configuration)
            .args(["-qq", "-o", "DPkg::Lock::Timeout=300"]);
        command
    }

    /// Renews the package lists. A source that does not answer is apt's to report: the others may have what is needed.
    fn renew(&self) {
        say("downloading Debian's package lists");
        if let Err(error) = run(self.command("apt-get").arg("update")) {
            say(format_args!(
                "{error:#}; going on with the lists that are there"
            ));
        }
    }

    /// Tries, and tries once more with new lists: old ones name packages that the archive has replaced.
    fn with_lists<T>(&self, attempt: impl Fn() -> Result<T>) -> Result<T> {
        if !self.has_lists() {
            self.renew();
            return attempt();
        }
        attempt().or_else(|error| {
            say(format_args!("{error:#}; trying again with new lists"));
            self.renew();
            attempt()
        })
    }

    /// What `choose` makes of the names of all packages that begin with a prefix, a line each.
    ///
    /// # Errors
    /// Where it finds nothing among them, also in new lists; the error says `missing`.
    pub fn choose<T>(
        &self,
        prefix: &str,
        choose: impl Fn(&str) -> Option<T>,
        missing: &str,
    ) -> Result<T> {
        self.with_lists(|| {
            let mut command = self.command("apt-cache");
            let names = output(command.args(["pkgnames", prefix])).unwrap_or_default();
            choose(&names).with_context(|| missing.to_owned())
        })
    }

    /// Downloads packages, and unpacks them into a directory, which replaces the one that was there. `finish` completes
    /// it where it lies aside until it is whole.
    ///
    /// # Errors
    /// Where apt cannot download one, or it cannot be unpacked.
    pub fn unpack(
        &self,
        packages: &[&str],
        extent: Extent,
        directory: &Path,
        finish: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let aside = directory.with_file_name(".new");
        self.with_lists(|| self.download(packages, extent))?;
        let _nothing = fs::remove_dir_all(&aside);
        fs::create_dir_all(&aside).with_context(|| format!("cannot make {}", aside.display()))?;
        for archive in self.downloaded()? {
            let name = archive.file_name().unwrap_or_default().to_string_lossy();
            if extent != Extent::ForThisMachine || !name.starts_with(LIBC) {
                run(Command::new("dpkg-deb")
                    .arg("--extract")
                    .arg(&archive)
                    .arg(&aside))?;
            }
            fs::remove_file(&archive)?;
        }
        finish(&aside)?;
        let _nothing = fs::remove_dir_all(directory);
        fs::rename(&aside, directory)
            .with_context(|| format!("cannot make {}", directory.display()))
    }

    fn download(&self, packages: &[&str], extent: Extent) -> Result<()> {
        for archive in self.downloaded()? {
            fs::remove_file(archive)?;
        }
        say(format_args!("downloading {}", packages.join(" ")));
        let mut apt_get = self.command("apt-get");
        match extent {
            Extent::Alone => apt_get.current_dir(self.archives()).arg("download"),
            Extent::WithDependencies | Extent::OfRelease | Extent::ForThisMachine => {
                let backports = || self.backports();
                let is_newest = extent == Extent::WithDependencies;
                if let Some(suite) = is_newest.then(backports).flatten() {
                    apt_get.args(["--target-release", &suite]);
                }
                apt_get.args([
                    "--yes",
                    "--no-install-recommends",
                    "--download-only",
                    "install",
                ])
            }
        };
        if run(apt_get.args(packages)).is_err() {
            bail!(
                "apt-get cannot download {} (its error is above): check that the sources of this machine's apt answer",
                packages.join(" ")
            );
        }
        Ok(())
    }

    /// The suite of backports, where there is one. apt refuses a suite that none of its sources has.
    fn backports(&self) -> Option<String> {
        let suite = sources::backports(self.release.as_ref()?);
        let known = output(self.command("apt-cache").arg("policy"))?;
        known.contains(&format!("n={suite}")).then_some(suite)
    }

    fn downloaded(&self) -> Result<Vec<PathBuf>> {
        let mut archives = Vec::new();
        for entry in fs::read_dir(self.archives())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                archives.push(path);
            }
        }
        archives.sort();
        Ok(archives)
    }
}

/// What makes an apt one of its own. It comes after the machine's configuration, and overrules it.
fn configuration(directory: &Path, status: &Path, architecture: Architecture) -> String {
    let architecture = match architecture {
        Architecture::Own => "",
        Architecture::Arm64 => "APT::Architecture \"arm64\";\nAPT::Architectures { \"arm64\"; };\n",
    };
    format!(
        "Dir::State \"{directory}\";
Dir::State::status \"{status}\";
Dir::Cache \"{directory}\";
APT::Sandbox::User \"root\";
Acquire::Languages \"none\";
Acquire::Retries \"3\";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
{architecture}",
        directory = directory.display(),
        status = status.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_its_state_is_in_its_directory() {
        let (directory, status) = (Path::new("/t/vm/apt"), Path::new("/t/vm/apt/status"));
        let text = configuration(directory, status, Architecture::Own);
        for setting in [
            "Dir::State \"/t/vm/apt\";",
            "Dir::State::status \"/t/vm/apt/status\";",
            "Dir::Cache \"/t/vm/apt\";",
        ] {
            assert!(text.contains(setting), "{setting} is not in:\n{text}");
        }
        assert!(!text.contains("Architecture"));
        let text = configuration(directory, status, Architecture::Arm64);
        assert!(
            text.contains("APT::Architectures { \"arm64\"; };"),
            "{text}"
        );
    }
}
