//! All rules of an address family, read from the kernel.

use std::{io, ops::ControlFlow};

use netlink_packet_core::Parseable;
use netlink_packet_route::{AddressFamily, rule::RuleMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::rule::Rule;
use crate::host::{netlink::Requester, netns::NetNs};

/// How often a dump is begun anew because rules changed under it.
const ATTEMPTS: usize = 10;
/// All rules of an address family, in the order in which the kernel asks them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(pub(super) Vec<Rule>);

impl Rules {
    /// Reads the rules of a namespace; none where the kernel knows of none (`CONFIG_IP_MULTIPLE_TABLES`).
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn read(netns: &NetNs, ipv6: bool) -> io::Result<Self> {
        netns.run(|| Self::read_here(ipv6))?
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
        for attempt in 1.. {
            let mut rules = Vec::new();
            let each = |kind, payload: &[u8]| {
                if kind == libc::RTM_NEWRULE {
                    rules.extend(
                        RuleMessage::parse(payload)
                            .ok()
                            .map(|rule| Rule::read(&rule)),
                    );
                }
                ControlFlow::Continue(())
            };
            match Requester::open(NETLINK_ROUTE)?.dump(libc::RTM_GETRULE, &question, each) {
                Ok(()) => return Ok(Self(rules)),
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::default())
    }
}
