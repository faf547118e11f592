//! What a person calls a network namespace.

use std::{
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use nix::sys::stat::fstat;

/// Where iproute2 keeps the namespaces that have a name (ip-netns(8)).
pub(in crate::host) const NAMED: &str = "/run/netns";
/// The namespace that the machine's first process is in, by the name that pinif gives it.
pub const HOST: &str = "host";
/// The initial namespace's inode from Linux 6.18 (`NET_NS_INIT_INO` of linux/nsfs.h).
pub(in crate::host) const INITIAL_INODE: u64 = 0xEFFF_FFF9;

/// The names in /run/netns, sorted. No directory is no names.
pub(super) fn names() -> Vec<String> {
    let Ok(directory) = fs::read_dir(NAMED) else {
        return Vec::new();
    };
    let mut names: Vec<_> = directory
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// The name of an open namespace: that in /run/netns, `host`, or the beginning of the id of the container of the process
/// that the path is of.
pub(super) fn name_of(file: &OwnedFd, path: &Path) -> Option<String> {
    let own = fstat(file).ok()?;
    let is_it = |path: &Path| {
        fs::metadata(path).is_ok_and(|other| (other.dev(), other.ino()) == (own.st_dev, own.st_ino))
    };
    let name = names()
        .into_iter()
        .find(|name| is_it(&Path::new(NAMED).join(name)));
    if name.is_some() {
        return name;
    }
    if own.st_ino == INITIAL_INODE || is_it(Path::new("/proc/1/ns/net")) {
        return Some(HOST.to_owned());
    }
    let process = path.strip_prefix("/proc").ok()?.iter().next()?.to_str()?;
    container(process.parse().ok()?)
}

/// What a namespace is called that has no name.
pub fn anonymous(inode: u64) -> String {
    format!("net:[{inode}]")
}

/// The beginning of the id of the container that a process is in.
pub(in crate::host) fn container(process: u32) -> Option<String> {
    let cgroups = procfs::process::Process::new(process.try_into().ok()?)
        .and_then(|process| process.cgroups())
        .ok()?;
    cgroups
        .into_iter()
        .find_map(|cgroup| container_in(&cgroup.pathname))
}

/// The same by a cgroup's path. People know the first twelve digits.
fn container_in(cgroup: &str) -> Option<String> {
    const SHOWN: usize = 12;
    let id = cgroup.rsplit('/').find_map(container_of)?;
    Some(id[..SHOWN].to_owned())
}

/// The id of the container that a directory of the cgroup hierarchy is of. Container engines name a cgroup by that, of 64 hexadecimal
/// digits: `docker-ID.scope`, `cri-containerd-ID.scope`, `libpod-ID.scope`, `/docker/ID`.
pub fn container_of(directory: &str) -> Option<&str> {
    const ID: usize = 64;
    directory
        .trim_end_matches(".scope")
        .split('-')
        .find(|part| part.len() == ID && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_its_cgroup() {
        let id = "0123456789abcdef".repeat(4);
        for cgroup in [
            format!("/system.slice/docker-{id}.scope"),
            format!("/docker/{id}"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
            format!("/kubepods/besteffort/pod1/{id}"),
        ] {
            assert_eq!(
                container_in(&cgroup).as_deref(),
                Some("0123456789ab"),
                "{cgroup}"
            );
        }
        for cgroup in [
            "/",
            "/user.slice/user-0.slice/session-1.scope",
            "/docker",
            &id[..63],
        ] {
            assert_eq!(container_in(cgroup), None, "{cgroup}");
        }
    }
}
