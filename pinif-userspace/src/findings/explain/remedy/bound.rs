//! The words of a socket that is bound to a device.

use std::fmt;

use crate::findings::explain::Home;

/// What is said where a bound socket is to stay.
pub(super) const STAYS: &str = ": a bound socket leaves via no other interface";

/// An order to bind it.
pub(super) fn bind(f: &mut fmt::Formatter<'_>, home: &Home) -> fmt::Result {
    write!(f, "bind the socket to {home} with SO_BINDTODEVICE")
}
