//! The topology of pinif's first user: a card in a chassis.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use anyhow::{Context, Result};
use ipnet::IpNet;

use crate::{Namespace, Route};

/// A card with a backplane and a front port, another card, and the outside. See [`chassis`].
#[derive(Debug)]
pub struct Chassis {
    /// The card that is audited.
    pub card: Namespace,
    /// The other card, on the backplane.
    pub peer: Namespace,
    /// What the front port is plugged into.
    pub outside: Namespace,
    /// Port 9 (discard) of the peer and of the outside: open, so that no ICMP error answers, and never read.
    _discard: [UdpSocket; 2],
}

/// Builds the chassis, all links up and operational.
///
/// ```text
///   peer                         card                                  outside
///   fab0 ───── backplane ─────── fab0      eth1 ───── front port ───── eth0
///   10.0.0.2/24                  10.0.0.1/24 │                         192.0.2.2/24
///   fd00::2/64                   fd00::1/64  │                         2001:db8::2/64
///   fe80::2                      fe80::1     │                         fe80::2
///   02:00:00:00:00:02            02:…:01     │                         02:…:12
///                                            │
///                                192.0.2.1/24, 2001:db8::1/64, fe80::1, 02:…:11
///
///   default via 10.0.0.1         default via 192.0.2.2 dev eth1        10.0.0.0/8 via 192.0.2.1
///           via fd00::1                  via 2001:db8::2 dev eth1      fd00::/8 via 2001:db8::1
/// ```
///
/// The outside's loopback has what a leak would be meant for, so that it is even answered: the peer's own `10.0.0.2` and
/// `fd00::2`, the control-plane addresses `10.9.0.9` and `fd00:9::9` that are on no link of the card, and `203.0.113.9`
/// and `2001:db8:f::9`, the world. UDP port 9 is open everywhere but on the card.
///
/// No packet moves here that no test sent: every neighbour is named for good, and the links neither resolve addresses nor
/// report multicast groups ([`Namespace::veth`]). So counts can be exact.
pub fn chassis() -> Result<Chassis> {
    let card = Namespace::new("card")?;
    let peer = Namespace::new("peer")?;
    let outside = Namespace::new("outside")?;
    card.veth("fab0", &peer, "fab0", 0x01)?;
    card.veth("eth1", &outside, "eth0", 0x11)?;

    let ends = [
        (&card, "fab0"),
        (&peer, "fab0"),
        (&card, "eth1"),
        (&outside, "eth0"),
    ];
    ends.iter()
        .try_for_each(|(namespace, link)| namespace.set_up(link))?;
    ends.iter()
        .try_for_each(|(namespace, link)| namespace.wait_until_operational(link))?;

    plug(&card, "fab0", ["10.0.0.1/24", "fd00::1/64", "fe80::1/64"])?;
    plug(
        &card,
        "eth1",
        ["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"],
    )?;
    plug(&peer, "fab0", ["10.0.0.2/24", "fd00::2/64", "fe80::2/64"])?;
    plug(
        &outside,
        "eth0",
        ["192.0.2.2/24", "2001:db8::2/64", "fe80::2/64"],
    )?;
    plug(
        &outside,
        "lo",
        [
            "10.0.0.2/32",
            "fd00::2/128",
            "10.9.0.9/32",
            "fd00:9::9/128",
            "203.0.113.9/32",
            "2001:db8:f::9/128",
        ],
    )?;

    introduce(
        (&card, "fab0"),
        (&peer, "fab0"),
        ["10.0.0.2", "fd00::2", "fe80::2"],
    )?;
    introduce(
        (&peer, "fab0"),
        (&card, "fab0"),
        ["10.0.0.1", "fd00::1", "fe80::1"],
    )?;
    introduce(
        (&card, "eth1"),
        (&outside, "eth0"),
        ["192.0.2.2", "2001:db8::2", "fe80::2"],
    )?;
    introduce(
        (&outside, "eth0"),
        (&card, "eth1"),
        ["192.0.2.1", "2001:db8::1", "fe80::1"],
    )?;

    route(
        &card,
        "eth1",
        [("0.0.0.0/0", "192.0.2.2"), ("::/0", "2001:db8::2")],
    )?;
    route(
        &peer,
        "fab0",
        [("0.0.0.0/0", "10.0.0.1"), ("::/0", "fd00::1")],
    )?;
    route(
        &outside,
        "eth0",
        [("10.0.0.0/8", "192.0.2.1"), ("fd00::/8", "2001:db8::1")],
    )?;

    let _discard = [discard(&peer)?, discard(&outside)?];
    Ok(Chassis {
        card,
        peer,
        outside,
        _discard,
    })
}

fn plug<const N: usize>(namespace: &Namespace, link: &str, addresses: [&str; N]) -> Result<()> {
    for address in addresses {
        namespace.add_address(link, address.parse::<IpNet>()?)?;
    }
    Ok(())
}

fn introduce<const N: usize>(
    (namespace, link): (&Namespace, &str),
    (far, far_link): (&Namespace, &str),
    addresses: [&str; N],
) -> Result<()> {
    let mac = far.mac(far_link)?;
    addresses
        .iter()
        .try_for_each(|address| namespace.add_neighbour(link, address.parse::<IpAddr>()?, &mac))
}

fn route<const N: usize>(
    namespace: &Namespace,
    link: &str,
    routes: [(&str, &str); N],
) -> Result<()> {
    for (destination, gateway) in routes {
        namespace.add_route(Route::new(destination.parse()?, link).via(gateway.parse()?))?;
    }
    Ok(())
}

fn discard(namespace: &Namespace) -> Result<UdpSocket> {
    const DISCARD: u16 = 9; // RFC 863
    namespace
        .run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, DISCARD)))?
        .context("cannot open the discard port")
}
