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

/// Which answers are audited.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// None.
    #[default]
    None = 0,
    /// Those that leave a contained zone, or come from outside into one: leaks.
    Leaks = 1,
    /// All that leave by another interface than what they answer came by.
    All = 2,
}

const _: () = assert!(size_of::<HeardKey>() == 24);
