//! Whether an interface runs, as the kernel has it at this instant. Messages come later: an interface that goes down loses
//! its routes, and traffic takes others, before the kernel sends one (`dev_close_many`).

use std::io;

use super::{netdevice::NetDevice, netns::NetNs};

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

    /// Whether the interface of this name is up and has a carrier; nothing where there is none.
    pub fn is(&self, interface: &str) -> Option<bool> {
        let runs = libc::IFF_UP | libc::IFF_RUNNING;
        Some(self.0.flags_of(interface)? & runs == runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_distinguished_from_what_is_not() {
        let running = Running::open(&NetNs::current().expect("it is ours")).expect("a socket");
        assert!(running.is("lo").is_some());
        assert_eq!(running.is("not there"), None);
    }
}
