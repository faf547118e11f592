//! What a namespace says of its interfaces at this instant, by netdevice(7). It waits for no lock and for no
//! netlink message.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use pinif_ebpf::key::IfIndex;

/// An interface's name, as the kernel has it: untrusted bytes with a zero at their end.
pub type Name = [u8; libc::IFNAMSIZ];

/// A socket to ask by. It is kept open for many questions: one that is closed is freed after a grace period of RCU, which
/// whoever waits for the next one waits for, too.
#[derive(Debug)]
pub struct NetDevice(OwnedFd);

impl NetDevice {
    /// Opens it in the calling thread's namespace, which it asks from then on.
    ///
    /// # Errors
    /// Where no socket can be made.
    pub fn open() -> io::Result<Self> {
        let (family, kind) = (AddressFamily::Unix, SockType::Datagram);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self(socket))
    }

    /// What the interface with this index is called (`SIOCGIFNAME`); nothing where there is none.
    pub fn name_of(&self, interface: IfIndex) -> Option<Name> {
        let mut request = nothing();
        request.ifr_ifru.ifru_ifindex = interface.0.cast_signed();
        self.ask(libc::SIOCGIFNAME, &mut request)?;
        // `c_char` has a sign on some architectures, and none on others.
        Some(request.ifr_name.map(|byte| byte.to_ne_bytes()[0]))
    }

    /// The flags (`IFF_*`) of the interface of this name (`SIOCGIFFLAGS`); nothing where there is none.
    pub fn flags_of(&self, name: &str) -> Option<libc::c_int> {
        let mut request = nothing();
        let name = name.as_bytes();
        // With the zero at its end.
        if name.len() >= request.ifr_name.len() {
            return None;
        }
        for (place, byte) in request.ifr_name.iter_mut().zip(name) {
            *place = libc::c_char::from_ne_bytes([*byte]);
        }
        self.ask(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: it was written.
        Some(libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags }))
    }

    fn ask(&self, question: libc::Ioctl, request: &mut libc::ifreq) -> Option<()> {
        // SAFETY: the kernel reads and writes a structure of this kind, in which a name ends with a zero.
        let outcome =
            unsafe { libc::ioctl(self.0.as_raw_fd(), question, std::ptr::from_mut(request)) };
        (outcome == 0).then_some(())
    }
}

/// The bytes of a name before the zero.
pub fn bytes(name: &Name) -> &[u8] {
    CStr::from_bytes_until_nul(name).map_or(&name[..], CStr::to_bytes)
}

fn nothing() -> libc::ifreq {
    // SAFETY: integers and a union of them: zeros are valid.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_distinguished_from_what_is_not() {
        let ask = NetDevice::open().expect("a socket");
        let name = ask
            .name_of(IfIndex::LOOPBACK)
            .expect("every namespace has it");
        assert_eq!(bytes(&name), b"lo");
        let flags = ask.flags_of("lo").expect("it is there");
        assert_ne!(flags & libc::IFF_LOOPBACK, 0);
        assert_eq!(ask.name_of(IfIndex::NONE), None);
        assert_eq!(ask.flags_of("not there"), None);
        assert_eq!(ask.flags_of("a name that is too long for one"), None);
    }

    #[test]
    fn a_name_that_fills_the_room_is_whole() {
        assert_eq!(bytes(&[b'a'; libc::IFNAMSIZ]), [b'a'; libc::IFNAMSIZ]);
    }
}
