//! A socket as JSON has it: of `pinif sockets --format json`, and of the control socket.

use std::borrow::Cow;

use pinif_ebpf::verdict::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{leaves::Leaves, list::SurveyedSocket, risk::Risk};
use crate::findings::process::Process;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Socket<'a> {
    /// Its network namespace.
    pub netns: Cow<'a, str>,
    /// Its cookie (`SO_COOKIE`).
    pub socket_cookie: u64,
    /// How it stands.
    #[schemars(extend("enum" = Risk::ALL.map(Risk::name)))]
    pub risk: Cow<'a, str>,
    /// How grave that is; null where nothing is wrong.
    pub severity: Option<Cow<'a, str>>,
    /// Why, in a sentence.
    pub why: Cow<'a, str>,
    /// Its protocol: `tcp`, `udp`, a number, or `packet`; raw sockets have `raw ` before it.
    pub protocol: Cow<'a, str>,
    /// `listen`, `established`, … of TCP; `connected` or `unconnected` of others.
    pub state: Cow<'a, str>,
    /// The address and port that it is bound to.
    pub local: Option<Cow<'a, str>>,
    /// What it is connected to.
    pub remote: Option<Cow<'a, str>>,
    /// The device that it is bound to.
    pub bound_device: Option<Cow<'a, str>>,
    /// The one interface; null where there is none, or where each destination or flow has its own.
    pub leaves_by: Option<Cow<'a, str>>,
    /// The interfaces of which each flow takes one: a route has several next hops. Empty otherwise.
    pub leaves_by_any_of: Cow<'a, [String]>,
    /// The default route's interface, where each destination has its own.
    pub default_interface: Option<Cow<'a, str>>,
    /// The route that it uses.
    pub route: Option<Cow<'a, str>>,
    /// Whether an option of it (`IP_UNICAST_IF`, `IPV6_UNICAST_IF`, `IPV6_MULTICAST_IF`) may name an interface, and could not be asked for.
    pub may_name_an_interface: bool,
    /// The user that made it.
    pub uid: Option<u32>,
    /// The processes that have it.
    pub processes: Cow<'a, [Process]>,
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
        Self::Socket(Box::new(socket.into()))
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

impl<'a> From<&'a SurveyedSocket> for Socket<'a> {
    fn from(socket: &'a SurveyedSocket) -> Self {
        let (default_interface, route) = match &socket.leaves {
            Leaves::Via { route, .. } => (None, route.as_deref()),
            Leaves::AnyOf { route, .. } => (None, Some(route.as_str())),
            Leaves::Any { default } => (default.as_deref(), None),
            Leaves::None { .. } => (None, None),
        };
        let any_of: &[String] = match &socket.leaves {
            Leaves::AnyOf { interfaces, .. } => interfaces,
            Leaves::Via { .. } | Leaves::Any { .. } | Leaves::None { .. } => &[],
        };
        Self {
            netns: socket.netns.as_str().into(),
            socket_cookie: socket.cookie.0,
            risk: socket.risk.name().into(),
            severity: socket.risk.severity().map(Severity::name).map(Cow::from),
            why: socket.why.as_str().into(),
            protocol: socket.protocol.as_str().into(),
            state: socket.state.into(),
            local: socket.local.as_deref().map(Cow::from),
            remote: socket.remote.as_deref().map(Cow::from),
            bound_device: socket.bound_device.as_deref().map(Cow::from),
            leaves_by: socket.leaves.interface().map(Cow::from),
            leaves_by_any_of: any_of.into(),
            default_interface: default_interface.map(Cow::from),
            route: route.map(Cow::from),
            may_name_an_interface: socket.may_name_an_interface,
            uid: socket.uid,
            processes: socket.processes.as_slice().into(),
        }
    }
}
