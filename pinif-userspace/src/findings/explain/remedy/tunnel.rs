//! The remedy of a tunnel whose outer packets have an address of elsewhere: another local address.

use std::fmt;

use super::model::MovedTunnel;
use crate::text::shell::word;

impl MovedTunnel {
    /// The line of a shell that does it.
    pub(super) fn command(&self) -> String {
        let (device, kind) = (word(&self.device), word(&self.kind));
        format!(
            "ip link set dev {device} type {kind} local {}",
            self.address
        )
    }
}

impl fmt::Display for MovedTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            device, address, ..
        } = self;
        write!(f, "give the tunnel {device} the local address {address}")
    }
}
