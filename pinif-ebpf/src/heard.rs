//! Where what a socket answers came in: by which interface the last packet of each host came to a UDP server that is bound to nothing.

use crate::key::{Address, SocketCookie};

/// A host, as one socket knows it. Whichever of its ports it sent from: later fragments of an answer have none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeardKey {
    /// The socket that received its packets.
    pub cookie: SocketCookie,
    /// Its address.
    pub address: Address,
}

const _: () = assert!(size_of::<HeardKey>() == 24);
