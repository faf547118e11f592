//! What a program meets that is held to an interface.

use std::fmt;

use crate::findings::explain::{PacketInfo, phrases::options};

/// What a program that names another interface meets, where `pinif run` or `pinif pin` holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// Nothing: it names none.
    Nothing,
    /// What it sends by another is dropped.
    Dropped,
    /// The same; and where it sets this option to another, that fails (`EINVAL`).
    DroppedOrFails(&'static str),
    /// It sets this option to another, which fails.
    Fails(&'static str),
    /// It may not bind its sockets to another, or to none (`EPERM`).
    Refused,
}

impl Meets {
    /// What a program meets that names another interface than the one that it is bound to: the kernel lets no option of a bound socket do that
    /// (`do_ip_setsockopt`, `do_ipv6_setsockopt`), nor a control message of IPv6 (`ip6_datagram_send_ctl`), unless that is for a
    /// packet of IPv4 (`ip_cmsg_send`), and `pinif run` drops what is sent otherwise.
    pub fn of(how: &'static str) -> Self {
        let is_ipv4 = options(how).any(|option| option == PacketInfo::V4.name());
        let fails = |option: &&str| {
            option.ends_with("CAST_IF") || (*option == PacketInfo::V6.name() && !is_ipv4)
        };
        let mut failing = options(how).filter(fails);
        match (failing.next(), failing.next()) {
            (None, _) => Self::Dropped,
            (Some(_), _) if options(how).all(|option| fails(&option)) => Self::Fails(how),
            (Some("IPV6_MULTICAST_IF"), Some("IPV6_PKTINFO")) => {
                Self::DroppedOrFails("IPV6_MULTICAST_IF or IPV6_PKTINFO")
            }
            (Some(option), _) => Self::DroppedOrFails(option),
        }
    }
}

impl fmt::Display for Meets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Dropped => f.write_str(", which drops what would leave by another interface"),
            Self::DroppedOrFails(option) => write!(
                f,
                "{}; there, {option} of another fails (EINVAL)",
                Self::Dropped
            ),
            Self::Fails(option) => {
                write!(f, ", where {option} of another interface fails (EINVAL)")
            }
            Self::Refused => f.write_str(", which refuses to bind its sockets otherwise"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_not_dropped() {
        assert_eq!(
            Meets::of("IP_MULTICAST_IF"),
            Meets::Fails("IP_MULTICAST_IF")
        );
        assert_eq!(
            Meets::of("IP_PKTINFO or IP_UNICAST_IF"),
            Meets::DroppedOrFails("IP_UNICAST_IF")
        );
        let both = "IPV6_PKTINFO or IPV6_UNICAST_IF";
        assert_eq!(Meets::of(both), Meets::Fails(both));
        assert_eq!(
            Meets::of("IPV6_MULTICAST_IF, IPV6_PKTINFO or sin6_scope_id"),
            Meets::DroppedOrFails("IPV6_MULTICAST_IF or IPV6_PKTINFO")
        );
        assert_eq!(Meets::of("sin6_scope_id"), Meets::Dropped);
        // Of a packet of IPv4.
        assert_eq!(
            Meets::of("IP_PKTINFO, IPV6_PKTINFO or IP_UNICAST_IF"),
            Meets::DroppedOrFails("IP_UNICAST_IF")
        );
    }
}
