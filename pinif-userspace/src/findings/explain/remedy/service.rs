//! A service or a container that runs already: its cgroup is pinned, where a program would be started by `pinif run`.

use std::{fmt, sync::Arc};

use super::meets::Meets;
use crate::{findings::process::Process, host::netns::container_of, text::shell::word};

/// A service, or a container, that is to be pinned to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePin {
    /// The interface.
    pub interface: Arc<str>,
    /// Which of these it is, in a word.
    what: &'static str,
    /// Its cgroup, from the root of the v2 hierarchy.
    pub cgroup: Arc<str>,
    /// What else it meets.
    pub meets: Meets,
}

impl ServicePin {
    /// Of what a process belongs to; none where it belongs to neither.
    pub fn of(process: Option<&Process>, interface: &Arc<str>, meets: Meets) -> Option<Self> {
        let (what, cgroup) = unit(process?.cgroup.as_deref()?)?;
        Some(Self {
            what,
            interface: Arc::clone(interface),
            cgroup: cgroup.into(),
            meets,
        })
    }

    pub(super) fn command(&self) -> String {
        let (interface, cgroup) = (word(&self.interface), word(&self.cgroup));
        format!("pinif pin --interface {interface} --cgroup {cgroup}")
    }
}

impl fmt::Display for ServicePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            interface,
            what,
            meets,
            ..
        } = self;
        write!(
            f,
            "pin its {what}, with all its sockets, to {interface} by pinif pin{meets}"
        )
    }
}

/// Units that run what others ask for: a login, a job. Pinned, they would pin all of that, and an operator's own session.
const OF_OTHERS: [&str; 12] = [
    "atd",
    "console-getty",
    "cron",
    "crond",
    "dropbear",
    "emergency",
    "getty",
    "rescue",
    "serial-getty",
    "ssh",
    "sshd",
    "user",
];

/// The service or the container that one of its processes is in, and its cgroup: systemd names that after the unit (systemd.service(5)).
fn unit(cgroup: &str) -> Option<(&'static str, &str)> {
    let mut end = cgroup.len();
    for part in cgroup.rsplit('/') {
        let of = &cgroup[..end];
        if let Some(name) = part.strip_suffix(".service") {
            let stem = name.split('@').next().unwrap_or(name);
            return (!OF_OTHERS.contains(&stem)).then_some(("service", of));
        }
        if container_of(part).is_some() {
            return Some(("container", of));
        }
        end = end.saturating_sub(part.len() + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_belongs_to_the_nearest_unit() {
        let id = "0123456789abcdef".repeat(4);
        let container = format!("/system.slice/docker-{id}.scope");
        let inside = format!("{container}/system.slice/a.service");
        let below = format!("{container}/workers");
        for (cgroup, of) in [
            (
                "/system.slice/fabricd.service",
                Some(("service", "/system.slice/fabricd.service")),
            ),
            (
                "/system.slice/system-bgpd.slice/bgpd@1.service/worker.service/a",
                Some((
                    "service",
                    "/system.slice/system-bgpd.slice/bgpd@1.service/worker.service",
                )),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service",
                Some((
                    "service",
                    "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service",
                )),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope",
                None,
            ),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            ("/system.slice/ssh.service", None),
            ("/system.slice/system-getty.slice/getty@tty1.service", None),
            (
                "/system.slice/sshd-keygen.service",
                Some(("service", "/system.slice/sshd-keygen.service")),
            ),
            ("/", None),
            ("/a.service.d", None),
            (&container, Some(("container", container.as_str()))),
            (&below, Some(("container", container.as_str()))),
            (&inside, Some(("service", inside.as_str()))),
        ] {
            assert_eq!(unit(cgroup), of, "{cgroup}");
        }
    }
}
