//! A socket as `--format json` prints it.

use pinif_ebpf::verdict::Severity;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    findings::process::Process,
    survey::{Leaves, Risk, SurveyedSocket},
};

/// One line that `pinif sockets --format json` prints. More fields may come; readers ignore those they do not know.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(title = "A line of pinif sockets --format json")]
pub enum Line<'a> {
    /// A socket; with `--watch`, again when something of it has changed.
    Socket(Box<Socket<'a>>),
    /// A socket that was listed, and is closed now, or is shown no longer.
    Gone(Gone<'a>),
    /// Sockets that the kernel does not list.
    Unlisted(Unlisted),
}

/// Whose a socket is, what it is bound to, and where what it sends would leave now.
#[derive(Serialize, JsonSchema)]
pub struct Socket<'a> {
    /// Its network namespace.
    netns: &'a str,
    /// Its cookie (`SO_COOKIE`).
    socket_cookie: u64,
    /// How it stands.
    #[schemars(extend("enum" = Risk::ALL.map(Risk::name)))]
    risk: &'static str,
    /// How grave that is; null where nothing is wrong.
    severity: Option<&'static str>,
    /// Why, in a sentence.
    why: &'a str,
    /// Its protocol: `tcp`, `udp`, a number, or `packet`; raw sockets have `raw ` before it.
    protocol: &'a str,
    /// `listen`, `established`, … of TCP; `connected` or `unconnected` of others.
    state: &'static str,
    /// The address and port that it is bound to.
    local: Option<&'a str>,
    /// What it is connected to.
    remote: Option<&'a str>,
    /// The device that it is bound to.
    bound_device: Option<&'a str>,
    /// The one interface; null where there is none, or where each destination or flow has its own.
    leaves_by: Option<&'a str>,
    /// The interfaces of which each flow takes one: a route has several next hops. Empty otherwise.
    leaves_by_any_of: &'a [String],
    /// The default route's interface, where each destination has its own.
    default_interface: Option<&'a str>,
    /// The route that it uses.
    route: Option<&'a str>,
    /// Whether an option of it (`IP_UNICAST_IF`, `IPV6_UNICAST_IF`, `IPV6_MULTICAST_IF`) may name an interface, and could not be asked for.
    may_name_an_interface: bool,
    /// The user that made it.
    uid: Option<u32>,
    /// The processes that have it.
    processes: &'a [Process],
}

/// Sockets that the kernel does not list.
#[derive(Serialize, JsonSchema)]
pub struct Unlisted {
    /// How many raw sockets: the kernel has no `CONFIG_INET_RAW_DIAG`.
    raw: usize,
}

/// A socket by its namespace and cookie.
#[derive(Serialize, JsonSchema)]
pub struct Gone<'a> {
    /// Its network namespace.
    netns: &'a str,
    /// Its cookie.
    socket_cookie: u64,
}

impl<'a> Line<'a> {
    /// Of a socket.
    pub fn of(socket: &'a SurveyedSocket) -> Self {
        let (default_interface, route) = match &socket.leaves {
            Leaves::Via { route, .. } => (None, route.as_deref()),
            Leaves::AnyOf { route, .. } => (None, Some(route.as_str())),
            Leaves::Any { default } => (default.as_deref(), None),
            Leaves::None { .. } => (None, None),
        };
        Self::Socket(Box::new(Socket {
            netns: &socket.netns,
            socket_cookie: socket.cookie.0,
            risk: socket.risk.name(),
            severity: socket.risk.severity().map(Severity::name),
            why: &socket.why,
            protocol: &socket.protocol,
            state: socket.state,
            local: socket.local.as_deref(),
            remote: socket.remote.as_deref(),
            bound_device: socket.bound_device.as_deref(),
            leaves_by: socket.leaves.interface(),
            leaves_by_any_of: match &socket.leaves {
                Leaves::AnyOf { interfaces, .. } => interfaces,
                Leaves::Via { .. } | Leaves::Any { .. } | Leaves::None { .. } => &[],
            },
            default_interface,
            route,
            may_name_an_interface: socket.may_name_an_interface,
            uid: socket.uid,
            processes: &socket.processes,
        }))
    }

    /// Of those that the kernel does not list.
    pub fn unlisted(raw: usize) -> Self {
        Self::Unlisted(Unlisted { raw })
    }

    /// Of one that is closed.
    pub fn gone(netns: &'a str, socket_cookie: u64) -> Self {
        Self::Gone(Gone {
            netns,
            socket_cookie,
        })
    }
}
