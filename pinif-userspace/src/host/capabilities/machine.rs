//! The machine: cgroups, descriptors, and which sockets it lists.

use nix::{
    net::if_::if_nameindex,
    sys::resource::{Resource, getrlimit},
};

use super::outcome::Outcome;
use crate::host::{cgroups, sockets};

pub(super) fn cgroup2() -> Outcome {
    match cgroups::cgroup2_root() {
        Ok(root) => Outcome::Ok(format!("mounted at {}", root.display())),
        Err(error) => match format!("{error:#}").split_once("; ") {
            Some((why, fix)) => Outcome::fatal(why, fix),
            None => Outcome::fatal(
                format!("{error:#}"),
                "mount /proc: `mount -t proc proc /proc`",
            ),
        },
    }
}

/// What pinif opens besides a descriptor for each interface and direction.
const OTHER_DESCRIPTORS: u64 = 128;

pub(super) fn descriptors() -> Outcome {
    let interfaces = if_nameindex().map_or(0, |interfaces| interfaces.iter().count());
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) => descriptors_of(hard, interfaces as u64),
        Err(errno) => Outcome::Note(format!("unknown: {errno}")),
    }
}

fn descriptors_of(limit: u64, interfaces: u64) -> Outcome {
    let needed = 2 * interfaces + OTHER_DESCRIPTORS;
    if limit >= needed {
        Outcome::Ok(format!("{limit}, with {interfaces} interfaces here"))
    } else {
        Outcome::lack(
            format!(
                "at most {limit} descriptors are allowed, and {interfaces} interfaces here need about {needed}"
            ),
            format!("`ulimit -Hn {needed}`, or `LimitNOFILE={needed}` in the systemd unit"),
        )
    }
}

pub(super) fn old_sockets() -> Outcome {
    match sockets::lists_raw() {
        Ok(true) => Outcome::Ok("TCP, UDP and raw sockets from before pinif starts are known".to_owned()),
        Ok(false) => Outcome::Note(
            "of raw sockets from before pinif starts the processes stay unknown: the kernel is built without \
             CONFIG_INET_RAW_DIAG"
                .to_owned(),
        ),
        Err(error) => Outcome::lack(
            format!("of sockets from before pinif starts the processes stay unknown: {error}"),
            "use a kernel that is built with CONFIG_INET_DIAG and CONFIG_INET_UDP_DIAG",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_counted_by_interfaces() {
        assert!(matches!(descriptors_of(1024, 100), Outcome::Ok(_)));
        assert!(matches!(
            descriptors_of(1024, 600),
            Outcome::Lack { fatal: false, .. }
        ));
    }
}
