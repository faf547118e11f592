//! Subflows of Multipath TCP that the kernel made by itself: what made them, and what keeps them from being made.

use std::{fmt, net::IpAddr};

use super::Home;

/// What let the kernel's path manager make a subflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubflowBy {
    /// An endpoint with `dev`, to which it is bound: this interface.
    Device(String),
    /// This address, which the peer announced (`ADD_ADDR`, RFC 8684, 3.4.1).
    Announced(Option<IpAddr>),
    /// An endpoint without `dev`, for this address of the host; or the peer opened it to that.
    Endpoint(Option<IpAddr>),
}

impl fmt::Display for SubflowBy {
    /// The cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => write!(
                f,
                "a Multipath TCP subflow that the kernel's path manager bound to {device}, by an endpoint with `dev {device}` \
                 (`ip mptcp endpoint`)"
            ),
            Self::Announced(address) => {
                f.write_str("a Multipath TCP subflow, which the kernel made, to ")?;
                match address {
                    Some(address) => write!(f, "{address}, an address that the peer announced"),
                    None => f.write_str("an address that the peer announced"),
                }
            }
            Self::Endpoint(address) => {
                f.write_str("a Multipath TCP subflow of the kernel's path manager")?;
                match address {
                    Some(address) => write!(
                        f,
                        ", by its endpoint for {address} (`ip mptcp endpoint`), which has no `dev`"
                    ),
                    None => f.write_str(" (`ip mptcp endpoint`)"),
                }
            }
        }
    }
}

/// What keeps such a subflow where its connection belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndSubflow {
    /// What let it be made.
    pub by: SubflowBy,
    /// Where the connection belongs.
    pub home: Home,
}

impl fmt::Display for EndSubflow {
    /// An order to the reader, without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DELETE: &str = "(`ip mptcp endpoint show`, then `ip mptcp endpoint delete id ID`)";
        let home = &self.home;
        match &self.by {
            SubflowBy::Announced(address) => {
                f.write_str(
                    "let the path manager take no address of a peer (`ip mptcp limits set add_addr_accepted 0`)",
                )?;
                match address {
                    Some(address) => write!(f, ", or give {address} a route via {home}"),
                    None => Ok(()),
                }
            }
            SubflowBy::Device(device) => write!(
                f,
                "delete the endpoint with `dev {device}` {DELETE}, or let it name {home}"
            ),
            SubflowBy::Endpoint(_) => write!(
                f,
                "delete the endpoint {DELETE}, or add it with `dev` and the name of {home}"
            ),
        }
    }
}
