//! Why routing has no answer, or an answer that is no route.

use std::{io, net::IpAddr};

use netlink_packet_core::DecodeError;
use pinif_ebpf::key::IfIndex;

use super::answer::RouteResult;

/// Why a look-up has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// No route leads there, or one that says that nothing does (`ENETUNREACH`, `EHOSTUNREACH`).
    #[error("no route leads to {0}")]
    Unreachable(IpAddr),
    /// No route leads there through the interface that was asked for: IPv4 then takes every destination for a
    /// neighbour on its link (`ip_route_output_key_hash_rcu`).
    #[error("no route leads to {0} through this interface, so it is taken for a neighbour there")]
    OnLink(IpAddr),
    /// No entry of a table decides: the packet goes to a group or a broadcast address, and leaves by the interface that has its
    /// source address (`ip_route_output_key_hash_rcu`, `__ip_dev_find`).
    #[error("the source address chooses the interface for {0}, and no route does")]
    BySource(IpAddr, IfIndex),
    /// A route or a rule prohibits it (`EACCES`).
    #[error("a route prohibits {0}")]
    Prohibited(IpAddr),
    /// The kernel refuses the question: a blackhole, or a source address or an interface that the host does not have.
    #[error("the kernel answers with no route to {destination}: {source}")]
    Refused {
        /// Where it was to go.
        destination: IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's answer could not be read.
    #[error("the kernel's route to {destination} could not be read: {source}")]
    Unreadable {
        /// Where it was to go.
        destination: IpAddr,
        /// What was wrong with it.
        source: DecodeError,
    },
}

impl RouteError {
    /// The same, where it is the kernel's answer to the question; nothing where there was none.
    pub(in crate::host) fn again(&self) -> Option<Self> {
        Some(match self {
            Self::Unreachable(destination) => Self::Unreachable(*destination),
            Self::OnLink(destination) => Self::OnLink(*destination),
            Self::BySource(destination, output) => Self::BySource(*destination, *output),
            Self::Prohibited(destination) => Self::Prohibited(*destination),
            Self::Refused { .. } | Self::Unreadable { .. } => return None,
        })
    }

    /// No way, where the kernel's answer was that the packet goes nowhere.
    ///
    /// # Errors
    /// Itself, where there was no answer: nothing is known of the packet then.
    pub fn or_no_way(self) -> Result<Option<RouteResult>, Self> {
        match &self {
            Self::BySource(_, output) => Ok(Some(RouteResult {
                output: *output,
                source: None,
            })),
            Self::Unreachable(_) | Self::OnLink(_) | Self::Prohibited(_) => Ok(None),
            // A blackhole, or what the host does not have (`ip_route_output_key_hash_rcu`, `inet_rtm_getroute`).
            Self::Refused { source, .. } => match source.raw_os_error() {
                Some(libc::EINVAL | libc::ENODEV | libc::ENXIO | libc::EADDRNOTAVAIL) => Ok(None),
                _ => Err(self),
            },
            Self::Unreadable { .. } => Err(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_without_an_answer_is_another_thing_than_no_route() {
        let destination = IpAddr::from([10, 0, 0, 1]);
        let refused = |source| RouteError::Refused {
            destination,
            source,
        };
        let errno = |errno| refused(io::Error::from_raw_os_error(errno));
        for no_route in [
            RouteError::Unreachable(destination),
            RouteError::Prohibited(destination),
            errno(libc::EINVAL),
        ] {
            assert!(matches!(no_route.or_no_way(), Ok(None)));
        }
        for unanswered in [
            errno(libc::ENOBUFS),
            refused(io::ErrorKind::UnexpectedEof.into()),
        ] {
            assert!(unanswered.or_no_way().is_err());
        }
    }
}
