//! Subflows of Multipath TCP that the kernel made by itself: what made them, and what keeps them from being made.

use std::{fmt, net::IpAddr};

use super::Home;
use crate::host::namespaces::Enter;

/// What let the kernel's path manager make a subflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubflowBy {
    /// An endpoint with `dev`, to which it is bound: this interface; and the endpoint's number.
    Device(String, Option<u8>),
    /// This address, which the peer announced (`ADD_ADDR`, RFC 8684, 3.4.1).
    Announced(Option<IpAddr>),
    /// An endpoint without `dev`, for this address of the host; or the peer opened it to that.
    Endpoint(Option<IpAddr>, Option<u8>),
}

impl fmt::Display for SubflowBy {
    /// The cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device, _) => write!(
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
            Self::Endpoint(address, _) => {
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

impl EndSubflow {
    /// An order to the reader, from where this leads to the namespace, without a full stop.
    pub(super) fn order(&self, enter: &Enter) -> String {
        let lines = ["ip mptcp endpoint show", "ip mptcp endpoint delete id ID"];
        let lines = lines.map(|line| enter.line(line).unwrap_or_else(|| line.to_owned()));
        // Where its number is known, the command has it.
        let delete = match &self.by {
            SubflowBy::Device(_, None) | SubflowBy::Endpoint(_, None) => {
                format!(" (`{}`, then `{}`)", lines[0], lines[1])
            }
            _ => String::new(),
        };
        let home = &self.home;
        match &self.by {
            SubflowBy::Announced(_) => "let the path manager take no address of a peer".to_owned(),
            SubflowBy::Device(device, _) => {
                format!("delete the endpoint with `dev {device}`{delete}, or let it name {home}")
            }
            SubflowBy::Endpoint(..) => {
                format!("delete the endpoint{delete}, or add it with `dev` and the name of {home}")
            }
        }
    }
}
