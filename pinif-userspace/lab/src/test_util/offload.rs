//! Offloads of a link.

use std::io;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use crate::Namespace;

impl Namespace {
    /// Lets the kernel, not the driver, cut TCP's large packets into segments (`ethtool -K … tso off`). TC egress still
    /// sees them whole; the driver then counts what would go on a wire.
    pub fn segment_in_software(&self, link: &str) -> Result<()> {
        self.run(|| set_segmentation_offload(link, false))?
            .with_context(|| format!("cannot switch off segmentation offload of {link}"))
    }
}

fn set_segmentation_offload(link: &str, on: bool) -> io::Result<()> {
    const ETHTOOL_STSO: u32 = 0x1f; // linux/ethtool.h
    let name = link.as_bytes();
    if name.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    // `struct ethtool_value`: the command and its argument.
    let mut command = [ETHTOOL_STSO, u32::from(on)];
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: (&raw mut command).cast(),
        },
    };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: SIOCETHTOOL reads the ifreq, whose name ends in a zero, and reads and writes the command that it points
    // to; both outlive the call.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
