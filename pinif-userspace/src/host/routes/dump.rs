//! Reading a namespace's routes, one by one, and not more than a host usually has.

use std::{io, ops::ControlFlow};

use netlink_packet_core::Parseable as _;
use netlink_packet_route::route::RouteMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::host::{netlink::Requester, netns::NetNs};

/// How many routes are read. A host that has more (those of the Internet) is not asked so.
const ROUTES: usize = 10_000;

/// Gives each route that the kernel has for this question (`inet_dump_fib`, `inet6_dump_fib`).
///
/// # Errors
/// Where the kernel refuses netlink, or has too many routes, or they change while they are read.
pub(super) fn dump(
    netns: &NetNs,
    question: &RouteMessage,
    mut take: impl FnMut(&RouteMessage) + Send,
) -> io::Result<()> {
    let mut read = 0;
    netns.visit(|| {
        Requester::open(NETLINK_ROUTE)?.dump(libc::RTM_GETROUTE, question, |kind, payload| {
            read += 1;
            if read > ROUTES {
                return ControlFlow::Break(());
            }
            if kind == libc::RTM_NEWROUTE
                && let Ok(message) = RouteMessage::parse(payload)
            {
                take(&message);
            }
            ControlFlow::Continue(())
        })
    })??;
    if read > ROUTES {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    Ok(())
}
