//! The cgroup of a pin: the one that this process is in, one made for a command, and the processes of one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use procfs::process::Process;

use crate::host::cgroups;

/// A cgroup's processes, and those of the cgroups below it. One that is gone has none.
///
/// # Errors
///
/// Where they cannot be listed.
pub fn processes(cgroup: &Path) -> io::Result<Vec<u32>> {
    let mut all = Vec::new();
    let mut ahead = vec![cgroup.to_owned()];
    while let Some(directory) = ahead.pop() {
        let own = match fs::read_to_string(directory.join("cgroup.procs")) {
            Ok(own) => own,
            Err(error) if is_gone(&error) => continue,
            // The processes of a threaded cgroup are those of the one above it (cgroup_procs_start).
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) && directory != cgroup => {
                continue;
            }
            Err(error) => return Err(error),
        };
        // Zero is a process that this PID namespace does not see.
        let pids = own.lines().filter_map(|line| line.parse::<u32>().ok());
        all.extend(pids.filter(|pid| *pid != 0));
        ahead.extend(below(&directory)?);
    }
    Ok(all)
}

/// The cgroups directly below one, in the order of their names. One that is gone has none.
///
/// # Errors
///
/// Where they cannot be listed.
pub fn below(cgroup: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(cgroup) {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all.push(entry.path()),
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// Whether a cgroup went while it was looked at: its files say so to whoever has them open (`kernfs_get_active`).
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

/// The directory of the cgroup that this process is in.
///
/// # Errors
///
/// When cgroup v2 is not mounted, or this process's cgroup is not below what is.
pub fn own() -> Result<PathBuf> {
    let root = cgroups::cgroup2_root()?;
    let myself = Process::myself().context("/proc/self cannot be read")?;
    let cgroups = myself
        .cgroups()
        .context("/proc/self/cgroup cannot be read")?;
    let own = cgroups.into_iter().find(|cgroup| cgroup.hierarchy == 0);
    let own = own
        .context("this process is in no cgroup of the second version")?
        .pathname;
    // A mount of a part of the hierarchy begins at that part.
    let mounts = myself
        .mountinfo()
        .context("/proc/self/mountinfo cannot be read")?;
    let part = mounts
        .into_iter()
        .find(|mount| mount.mount_point == root)
        .map_or_else(|| "/".to_owned(), |mount| mount.root);
    let below = Path::new(&own).strip_prefix(&part).map_err(|_| {
        anyhow!(
            "the cgroup {own} of this process is not below {part}, which is all that is mounted at {}; name a cgroup \
             there with --cgroup",
            root.display()
        )
    })?;
    Ok(root.join(below))
}

/// A cgroup that was made for one command, and is removed when dropped, unless processes are left in it.
#[derive(Debug)]
pub struct CommandCgroup(PathBuf);

/// What such a cgroup is called, before the number of the process that made it.
const PREFIX: &str = "pinif-run-";

impl CommandCgroup {
    /// Makes one below `parent`; what commands of dead pinifs left there goes.
    ///
    /// # Errors
    ///
    /// When it cannot be made or would hold no process, in a sentence with the fix.
    pub fn make(parent: &Path) -> Result<Self> {
        sweep(parent);
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| refusal(error, parent))?;
        let own = Self(path);
        let kind = fs::read_to_string(own.0.join("cgroup.type")).unwrap_or_default();
        if kind.trim() != "domain" && !kind.is_empty() {
            bail!(
                "a cgroup below {} can hold no process of its own (it is `{}`), since that one, or one above it, is threaded; \
                 name another with --cgroup",
                parent.display(),
                kind.trim()
            );
        }
        Ok(own)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it. The processes that are left in it, and keep it.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub fn remove(self) -> io::Result<Vec<u32>> {
        match fs::remove_dir(&self.0) {
            Ok(()) => Ok(Vec::new()),
            Err(_) => processes(&self.0),
        }
    }
}

impl Drop for CommandCgroup {
    fn drop(&mut self) {
        // Gone already, or kept by its processes.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Removes the empty cgroups of pinifs that have ended. One with processes in it stays, and stays pinned.
fn sweep(parent: &Path) {
    // One that cannot be looked at takes no cgroup either, which is reported then.
    for path in below(parent).unwrap_or_default() {
        let name = path.file_name().and_then(|name| name.to_str());
        let pid = name.and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if let Some(pid) = pid
            && (pid == std::process::id() || !Path::new(&format!("/proc/{pid}")).exists())
        {
            let _ = fs::remove_dir(path);
        }
    }
}

fn refusal(error: io::Error, parent: &Path) -> anyhow::Error {
    let shown = parent.display();
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => anyhow!(
            "no cgroup may be made below {shown}, which is not this user's; run it as root, or name a cgroup that is delegated to it \
             with --cgroup"
        ),
        Some(libc::EROFS) => anyhow!(
            "no cgroup can be made below {shown}: cgroup v2 is mounted read-only, as containers have it; run pinif outside, or \
             mount it writable"
        ),
        Some(libc::EAGAIN) => anyhow!(
            "no further cgroup may be made below {shown}: cgroup.max.depth or cgroup.max.descendants is reached there or above; \
             name another with --cgroup"
        ),
        Some(libc::ENOENT) => {
            anyhow!("there is no cgroup {shown}; name one that there is with --cgroup")
        }
        Some(libc::EEXIST) => anyhow!(
            "the cgroup {shown}/{PREFIX}{} is left of a command of another pinif, whose processes go on; end them, or name another \
             cgroup with --cgroup",
            std::process::id()
        ),
        _ => anyhow!(error).context(format!("no cgroup can be made below {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_cannot_be_listed_are_not_taken_for_none() {
        let cgroup = tempfile::tempdir().expect("a directory");
        let child = cgroup.path().join("child");
        fs::create_dir(&child).expect("a directory");
        fs::write(cgroup.path().join("cgroup.procs"), "0\n7\n").expect("a file");
        assert_eq!(processes(cgroup.path()).expect("a file"), [7]);
        // A directory where the file should be.
        fs::create_dir(child.join("cgroup.procs")).expect("a directory");
        let error = processes(cgroup.path()).expect_err("no file");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert!(processes(&child.join("gone")).expect("none").is_empty());
        let file = cgroup.path().join("cgroup.procs");
        assert_eq!(
            below(&file).expect_err("a file").kind(),
            io::ErrorKind::NotADirectory
        );
    }

    #[test]
    fn why_a_cgroup_cannot_be_made_is_reported_with_the_fix() {
        let message = |errno| {
            let error = refusal(io::Error::from_raw_os_error(errno), Path::new("/cg"));
            format!("{error:#}")
        };
        for errno in [
            libc::EACCES,
            libc::EROFS,
            libc::EAGAIN,
            libc::ENOENT,
            libc::EEXIST,
        ] {
            let text = message(errno);
            assert!(text.contains("/cg") && text.contains(';'), "{text}");
        }
        assert_eq!(
            message(libc::ENOMEM),
            "no cgroup can be made below /cg: Cannot allocate memory (os error 12)"
        );
    }
}
