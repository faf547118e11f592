//! All rules of an address family, read from the kernel.

use std::io;

use netlink_packet_core::Parseable;
use netlink_packet_route::{AddressFamily, rule::RuleMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::rule::Rule;
use crate::host::{
    listing::{Listed, list},
    netns::NetNs,
};

/// All rules of an address family, in the order in which the kernel asks them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(pub(super) Vec<Rule>);

impl Rules {
    /// Reads the rules of a namespace; none where the kernel knows of none (`CONFIG_IP_MULTIPLE_TABLES`).
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn read(netns: &NetNs, ipv6: bool) -> io::Result<Self> {
        netns.visit(|| Self::read_here(ipv6))?
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    fn read_here(ipv6: bool) -> io::Result<Self> {
        let mut question = RuleMessage::default();
        question.header.family = if ipv6 {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        let read = |kind, payload: &[u8]| {
            let rule = (kind == libc::RTM_NEWRULE).then(|| RuleMessage::parse(payload).ok());
            rule.flatten().map(|rule| Rule::read(&rule))
        };
        match list(NETLINK_ROUTE, libc::RTM_GETRULE, &question, read) {
            Ok(Listed::Whole(rules)) => Ok(Self(rules)),
            Ok(Listed::Torn(_)) => Err(io::ErrorKind::Interrupted.into()),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}
