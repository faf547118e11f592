//! What sends while programs are measured.

use anyhow::{Context as _, Result};

use crate::load::{Churn, Kind, Load, Server, Tcp, Udp, Visits};
use crate::site::{STACKED, Site};

/// How many sockets, addresses and prefixes there are where there are many.
pub const SOCKETS: u32 = 100_000;
/// See [`SOCKETS`].
pub const DESTINATIONS: u32 = 10_000;

pub const PINNED: &str = "pinned UDP";
pub const IN_TURN: &str = "pinned UDP, all sockets in turn";
pub const UNPINNED: &str = "unpinned UDP";
pub const IPV6: &str = "pinned UDP over IPv6";
pub const BULK: &str = "TCP in bulk";
pub const MANY: &str = "one socket to 10,000 addresses";
pub const FORWARDED: &str = "forwarded";
pub const LEAKING: &str = "a leaking flow";
pub const DEEP: &str = "pinned UDP, bridge on macvlan on veth";
pub const SHORT: &str = "sockets of one packet";
pub const TEN: &str = "sockets of ten packets";
pub const ACCEPTED: &str = "accepted connections of ten packets";

/// What all of them do at the egress that has a row of its own.
pub const AT_EGRESS: [&str; 10] = [
    PINNED, IN_TURN, IPV6, UNPINNED, BULK, DEEP, MANY, FORWARDED, SHORT, LEAKING,
];
/// Those whose packets all take the fast path.
pub const CLEAN: [&str; 5] = [PINNED, IPV6, UNPINNED, BULK, DEEP];
/// Those that are whole lives of sockets, each with what a life is.
pub const LIVES: [(&str, &str); 3] = [
    (
        SHORT,
        "socket(), SO_BINDTODEVICE, bind(), connect(), 1 packet, close()",
    ),
    (
        TEN,
        "socket(), SO_BINDTODEVICE, bind(), connect(), 10 packets, close()",
    ),
    (
        ACCEPTED,
        "of an accepted connection: SYN-ACK, 10 packets, close()",
    ),
];

/// What sends, and what answers it.
pub struct Traffic {
    pub name: &'static str,
    pub senders: Vec<Load>,
    // Ended in this order.
    _server: Option<Load>,
}

impl Traffic {
    fn of(name: &'static str, senders: Vec<Load>) -> Self {
        Self {
            name,
            senders,
            _server: None,
        }
    }
}

/// Starts all of them. `sockets` is how many send in turn.
///
/// # Errors
/// Where one does not get ready.
pub fn start(site: &Site, sockets: u32) -> Result<Vec<Traffic>> {
    let peer = Udp::to("10.0.0.2:9".parse()?);
    let world: std::net::SocketAddr = "203.0.113.9:9".parse()?;
    let short = Churn {
        to: "10.0.0.2:9".parse()?,
        datagrams: 1,
        device: "fab0".to_owned(),
    };
    let on_card = [
        (PINNED, Kind::Udp(peer.clone().bound_to("fab0"))),
        (UNPINNED, Kind::Udp(peer.clone())),
        (
            IPV6,
            Kind::Udp(Udp::to("[fd00::2]:9".parse()?).bound_to("fab0")),
        ),
        (
            BULK,
            Kind::Tcp(Tcp {
                peer: site.chassis.peer.path().to_owned(),
                to: "10.0.0.2:7".parse()?,
                device: Some("fab0".to_owned()),
            }),
        ),
        (
            MANY,
            Kind::Udp(Udp {
                destinations: DESTINATIONS,
                unconnected: true,
                ..Udp::to("10.64.0.0:9".parse()?).bound_to("fab0")
            }),
        ),
        (
            LEAKING,
            Kind::Udp(Udp {
                leave_by: Some("eth1".to_owned()),
                ..Udp::to(world).bound_to("fab0")
            }),
        ),
        (
            DEEP,
            Kind::Udp(Udp::to("10.3.0.2:9".parse()?).bound_to(STACKED)),
        ),
        (SHORT, Kind::Churn(short.clone())),
        (
            TEN,
            Kind::Churn(Churn {
                datagrams: 10,
                ..short
            }),
        ),
    ];
    // First, so that the others find its sockets there.
    let in_turn = site.sockets(&peer.bound_to("fab0"), sockets)?;
    let mut loads = vec![Traffic::of(IN_TURN, in_turn)];
    for (name, kind) in on_card {
        loads.push(Traffic::of(name, vec![site.load(kind).context(name)?]));
    }
    let through = site.load_of_peer(Kind::Udp(Udp::to(world)))?;
    loads.push(Traffic::of(FORWARDED, vec![through]));
    loads.push(accepted(site)?);
    Ok(loads)
}

fn accepted(site: &Site) -> Result<Traffic> {
    let at = "10.0.0.1:7000".parse()?;
    let server = site.load(Kind::Server(Server { at, packets: 10 }))?;
    let clients = site.load_unwatched(Kind::Visits(Visits { to: at }))?;
    Ok(Traffic {
        _server: Some(server),
        ..Traffic::of(ACCEPTED, vec![clients])
    })
}
