//! Whether an interface runs, as the kernel has it at this instant. Messages come later: an interface that goes down loses
//! its routes, and traffic takes others, before the kernel sends one (`dev_close_many`).

use std::io;

use super::{netdevice::NetDevice, netns::NetNs};

/// What an interface can do, the worse first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runs {
    /// The administrator has set it down: not `IFF_UP`.
    Down,
    /// It is up, and not `IFF_RUNNING`: what `ip link` shows as `NO-CARRIER` (netdevice(7), RFC 2863).
    WithoutCarrier,
    /// It can pass packets.
    Yes,
}

impl Runs {
    /// What two flags of an interface say: `IFF_UP` and `IFF_RUNNING`.
    pub const fn of(up: bool, running: bool) -> Self {
        match (up, running) {
            (false, _) => Self::Down,
            (true, false) => Self::WithoutCarrier,
            (true, true) => Self::Yes,
        }
    }
}

/// Asks one namespace.
#[derive(Debug)]
pub struct Running(NetDevice);

impl Running {
    /// Opens a socket in the namespace to ask by.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or no socket be made.
    pub fn open(netns: &NetNs) -> io::Result<Self> {
        Ok(Self(netns.run(NetDevice::open)??))
    }

    /// What the interface of this name can do; nothing where there is none.
    pub fn of(&self, interface: &str) -> Option<Runs> {
        let flags = self.0.flags_of(interface)?;
        let has = |flag| flags & flag != 0;
        Some(Runs::of(has(libc::IFF_UP), has(libc::IFF_RUNNING)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_distinguished_from_what_is_not() {
        let running = Running::open(&NetNs::current().expect("it is ours")).expect("a socket");
        assert!(running.of("lo").is_some());
        assert_eq!(running.of("not there"), None);
    }

    #[test]
    fn what_is_down_needs_no_carrier() {
        assert_eq!(Runs::of(false, true), Runs::Down);
        assert_eq!(Runs::of(true, false), Runs::WithoutCarrier);
        assert!(Runs::Down < Runs::WithoutCarrier && Runs::WithoutCarrier < Runs::Yes);
    }
}
