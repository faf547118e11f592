//! Whether an interface runs, as the kernel has it at this instant. News of it come later: an interface that goes down
//! loses its routes, and traffic takes others, before anybody is told (`dev_close_many`).

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::netns::NetNs;

/// Asks one namespace.
#[derive(Debug)]
pub struct Running(OwnedFd);

impl Running {
    /// Opens a socket in the namespace to ask by.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or no socket be made.
    pub fn open(netns: &NetNs) -> io::Result<Self> {
        let inside = || {
            socket(
                AddressFamily::Unix,
                SockType::Datagram,
                SockFlag::SOCK_CLOEXEC,
                None,
            )
        };
        Ok(Self(netns.run(inside)??))
    }

    /// Whether the interface of this name is up and has a carrier; nothing where there is none. It waits for no lock
    /// (`SIOCGIFFLAGS`, netdevice(7)).
    pub fn is(&self, interface: &str) -> Option<bool> {
        // SAFETY: integers and a union of them: zeros are valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let name = interface.as_bytes();
        // With the zero at its end.
        if name.len() >= request.ifr_name.len() {
            return None;
        }
        for (place, byte) in request.ifr_name.iter_mut().zip(name) {
            *place = byte.cast_signed();
        }
        // SAFETY: the kernel reads a name that ends with a zero, and writes the flags.
        let outcome =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
        if outcome != 0 {
            return None;
        }
        // SAFETY: it was written.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        let runs = libc::IFF_UP | libc::IFF_RUNNING;
        Some(flags & runs == runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_told_from_what_is_not() {
        let running = Running::open(&NetNs::current().expect("it is ours")).expect("a socket");
        assert!(running.is("lo").is_some());
        assert_eq!(running.is("not there"), None);
        assert_eq!(running.is("a name that is too long for one"), None);
    }
}
