//! A socket as `--format json` prints it.

use serde::Serialize;

use crate::{
    audit::finding::Process,
    survey::{Leaves, Seen},
};

/// One socket.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    r#type: &'static str,
    netns: &'a str,
    socket_cookie: u64,
    risk: &'static str,
    severity: Option<&'static str>,
    why: &'a str,
    protocol: &'a str,
    state: &'static str,
    local: Option<&'a str>,
    remote: Option<&'a str>,
    bound_device: Option<&'a str>,
    /// The one interface; null where there is none, or where each destination has its own.
    leaves_by: Option<&'a str>,
    /// The default route's interface, where each destination has its own.
    default_interface: Option<&'a str>,
    route: Option<&'a str>,
    uid: Option<u32>,
    processes: &'a [Process],
}

impl<'a> Line<'a> {
    pub fn of(socket: &'a Seen) -> Self {
        let (default_interface, route) = match &socket.leaves {
            Leaves::By { route, .. } => (None, route.as_deref()),
            Leaves::Any { default } => (default.as_deref(), None),
            Leaves::None { .. } => (None, None),
        };
        Self {
            r#type: "socket",
            netns: &socket.netns,
            socket_cookie: socket.cookie.0,
            risk: socket.risk.name(),
            severity: super::severity(socket.risk.severity()),
            why: &socket.why,
            protocol: &socket.protocol,
            state: socket.state,
            local: socket.local.as_deref(),
            remote: socket.remote.as_deref(),
            bound_device: socket.bound_device.as_deref(),
            leaves_by: socket.leaves.interface(),
            default_interface,
            route,
            uid: socket.uid,
            processes: &socket.processes,
        }
    }
}

/// A socket that was shown, and is closed now.
#[derive(Serialize)]
pub(super) struct Gone<'a> {
    r#type: &'static str,
    netns: &'a str,
    socket_cookie: u64,
}

impl<'a> Gone<'a> {
    pub fn of(netns: &'a str, socket_cookie: u64) -> Self {
        Self {
            r#type: "gone",
            netns,
            socket_cookie,
        }
    }
}
