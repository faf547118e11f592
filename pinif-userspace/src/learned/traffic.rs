//! Traffic of one kind: one sender, one destination, one service, one way out.

use std::{fmt, net::IpAddr, ops::AddAssign};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::words::{counted, grouped};

/// Packets that are the same in all that a policy looks at, but for the port that names no service.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Traffic {
    /// The name of the network namespace.
    pub netns: String,
    /// Who sent it.
    pub origin: Sender,
    /// The file that the process ran; null where it is unknown: no process sent, or it had ended before it could be looked at.
    pub exe: Option<String>,
    /// The name of the first process; null where no process sent, or it is unknown.
    pub comm: Option<String>,
    /// The socket's user; null where no process sent.
    pub uid: Option<u32>,
    /// The cgroup, from the root of the v2 hierarchy; null where it is gone, or no process sent.
    pub cgroup: Option<String>,
    /// The number of the IP protocol.
    pub protocol: u8,
    /// The port of the service; null where no port says which it is (no ports, or both from 32768 on).
    pub port: Option<u16>,
    /// Whether the service is this host's, which answers.
    pub serves: bool,
    /// The source address; null of what is forwarded.
    pub source: Option<IpAddr>,
    /// The destination address.
    pub destination: IpAddr,
    /// The network that it is in: that of the route to it, or, where there is none, 24 bits of IPv4 and 64 of IPv6.
    #[schemars(with = "String")]
    pub network: IpNet,
    /// The bound device; null without one.
    pub bound_device: Option<String>,
    /// Where it left.
    pub egress_interface: String,
    /// Whether the socket names the interface with each packet, and needs no bound device (`AF_PACKET`).
    pub names_interface: bool,
    /// How many sockets sent such packets; null where there is no socket.
    pub sockets: Option<u64>,
    /// When the first packet was seen, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub first_seen: String,
    /// When a packet was last looked at that was new to its socket.
    #[schemars(extend("format" = "date-time"))]
    pub last_seen: String,
}

/// Who sends.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// A process, by a socket.
    Process,
    /// The kernel itself, by a socket of its own.
    Kernel,
    /// Nobody here: it is forwarded, or has no socket.
    Socketless,
}

/// How much traffic there is: sockets, and kinds of packet that no socket of a process sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Sockets of processes.
    pub sockets: u64,
    /// Entries without one.
    pub others: u64,
}

impl AddAssign<&Traffic> for Amount {
    fn add_assign(&mut self, traffic: &Traffic) {
        match traffic.sockets {
            Some(sockets) => self.sockets += sockets,
            None => self.others += 1,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = match self.others {
            1 => "1 kind of packet".to_owned(),
            many => format!("{} kinds of packet", grouped(many)),
        };
        let sockets = counted(self.sockets, "socket");
        match (self.sockets, self.others) {
            (_, 0) => to.write_str(&sockets),
            (0, _) => write!(to, "{kinds} of no process"),
            _ => write!(to, "{sockets} and {kinds} of no process"),
        }
    }
}

impl Traffic {
    /// Whether a rule with `pinned` finds it unpinned.
    pub fn is_unpinned(&self) -> bool {
        self.may_be_pinned() && self.bound_device.is_none()
    }

    /// Whether a rule with `pinned` looks at it.
    pub fn may_be_pinned(&self) -> bool {
        self.origin == Sender::Process && !self.names_interface
    }

    /// Who sent it, for people: the executable, or what else is known.
    pub fn program(&self) -> &str {
        match (&self.exe, &self.comm, self.origin) {
            (Some(exe), _, _) => exe,
            (None, Some(comm), _) => comm,
            (None, None, Sender::Process) => "an unknown process",
            (None, None, Sender::Kernel) => "the kernel",
            (None, None, Sender::Socketless) => "forwarded",
        }
    }
}

/// The network of an address that no route says one of. What goes to a group goes to no network: all groups are one.
pub fn usual_network(address: IpAddr) -> IpNet {
    let group = |text: &str| text.parse().ok();
    let host = IpNet::from(address);
    match address {
        IpAddr::V4(v4) if v4.is_broadcast() => host,
        IpAddr::V4(v4) if v4.is_multicast() => group("224.0.0.0/4").unwrap_or(host),
        IpAddr::V6(v6) if v6.is_multicast() => group("ff00::/8").unwrap_or(host),
        IpAddr::V4(v4) => Ipv4Net::new(v4, 24).map_or(host, |net| net.trunc().into()),
        IpAddr::V6(v6) => Ipv6Net::new(v6, 64).map_or(host, |net| net.trunc().into()),
    }
}
