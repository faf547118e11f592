//! What NAT changed of a packet: the kernel's record of its connection (linux/netfilter/nfnetlink_conntrack.h).

use std::{io, net::IpAddr};

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::{attributes::attribute, modules::Module, netlink::Requester, netns::NetNs, raw::Raw};

/// Addresses and ports of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// The IP protocol.
    pub protocol: u8,
    /// Where it is from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The source port; zero where the protocol has none.
    pub source_port: u16,
    /// The destination port.
    pub destination_port: u16,
}

/// `NFNL_SUBSYS_CTNETLINK` and `IPCTNL_MSG_CT_GET`.
const GET: u16 = 1 << 8 | 1;
/// `struct nfgenmsg`.
const HEADER: usize = 4;
/// `CTA_TUPLE_ORIG` and `CTA_TUPLE_REPLY`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
/// `CTA_TUPLE_IP` and what is in it; IPv6 has two more.
const ADDRESSES: u16 = 1;
const SOURCE_4: u16 = 1;
const DESTINATION_4: u16 = 2;
const SOURCE_6: u16 = 3;
const DESTINATION_6: u16 = 4;
/// `CTA_TUPLE_PROTO` and what is in it.
const PROTOCOL: u16 = 2;
const NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// What the kernel's connection tracking says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// What it was before NAT, where NAT changed it.
    pub before: Option<Tuple>,
    /// It answers whoever began the connection.
    pub is_reply: bool,
}

/// What a packet is, by its connection in a namespace. Nothing where its connection is not tracked.
///
/// Where the kernel tracks no connections (`nf_conntrack`), it is not asked: nothing is loaded, and there is no NAT. Where it does, it may load
/// what answers this (`nf_conntrack_netlink`), which does nothing to packets.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses netlink (`CAP_NET_ADMIN`).
pub fn tracked(netns: &NetNs, packet: &Tuple) -> io::Result<Option<Tracked>> {
    if !Module::CONNTRACK.is_there() {
        return Ok(None);
    }
    // Ports and addresses are all that is asked by; ICMP is known by its identifier, which a finding has not.
    if !matches!(
        i32::from(packet.protocol),
        libc::IPPROTO_TCP | libc::IPPROTO_UDP
    ) {
        return Ok(None);
    }
    let question =
        Raw::question(HEADER, family(packet.source)).with_nested(REPLY, &packet.answer().message());
    let answer = netns.visit(|| {
        Requester::open(NETLINK_NETFILTER)?.request(GET, &question, |_, payload| {
            let connection = payload.get(HEADER..)?;
            let both = Tuple::read(connection, ORIGINAL).zip(Tuple::read(connection, REPLY));
            both.and_then(|(original, reply)| packet.tracked(original, reply))
        })
    })?;
    match answer {
        Ok(tracked) => Ok(tracked),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

impl Tuple {
    /// What answers it: the same with its ends exchanged.
    const fn answer(&self) -> Self {
        Self {
            protocol: self.protocol,
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
        }
    }

    /// What it is, by the tuples of its connection: those of the first packet and of its answer, each before NAT. The kernel
    /// finds a connection by either of them, whichever is asked for (`nf_conntrack_find_get`), so that it may be of either direction.
    fn tracked(&self, original: Self, reply: Self) -> Option<Tracked> {
        let expected = self.answer();
        let (before, is_reply) = if reply == expected {
            (original, false)
        } else if original == expected {
            (reply, true)
        } else {
            return None;
        };
        Some(Tracked {
            before: Some(before).filter(|before| before != self),
            is_reply,
        })
    }

    fn message(&self) -> Raw {
        let empty = || Raw(Vec::new());
        let addresses = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => empty()
                .with(SOURCE_4, &source.octets())
                .with(DESTINATION_4, &destination.octets()),
            (IpAddr::V6(source), IpAddr::V6(destination)) => empty()
                .with(SOURCE_6, &source.octets())
                .with(DESTINATION_6, &destination.octets()),
            _ => empty(),
        };
        let protocol = empty()
            .with(NUMBER, &[self.protocol])
            .with(SOURCE_PORT, &self.source_port.to_be_bytes())
            .with(DESTINATION_PORT, &self.destination_port.to_be_bytes());
        empty()
            .with_nested(ADDRESSES, &addresses)
            .with_nested(PROTOCOL, &protocol)
    }

    /// Reads the tuple of this kind.
    fn read(bytes: &[u8], kind: u16) -> Option<Self> {
        let tuple = attribute(bytes, kind)?;
        let (addresses, protocol) = (attribute(&tuple, ADDRESSES)?, attribute(&tuple, PROTOCOL)?);
        let address = |v4, v6| {
            let four = attribute(&addresses, v4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            let six = || {
                let bytes = attribute(&addresses, v6)?;
                <[u8; 16]>::try_from(bytes).ok()
            };
            four.map(IpAddr::from).or_else(|| six().map(IpAddr::from))
        };
        let port = |kind| {
            let bytes = attribute(&protocol, kind)?;
            Some(u16::from_be_bytes(bytes.try_into().ok()?))
        };
        Some(Self {
            protocol: *attribute(&protocol, NUMBER)?.first()?,
            source: address(SOURCE_4, SOURCE_6)?,
            destination: address(DESTINATION_4, DESTINATION_6)?,
            source_port: port(SOURCE_PORT)?,
            destination_port: port(DESTINATION_PORT)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: [u8; 4], destination: [u8; 4], ports: (u16, u16)) -> Tuple {
        Tuple {
            protocol: 17,
            source: source.into(),
            destination: destination.into(),
            source_port: ports.0,
            destination_port: ports.1,
        }
    }

    const CLIENT: [u8; 4] = [192, 0, 2, 2];
    const SERVER: [u8; 4] = [10, 0, 0, 1];
    const OTHER: [u8; 4] = [10, 9, 9, 9];

    fn first(before: Option<Tuple>) -> Option<Tracked> {
        let is_reply = false;
        Some(Tracked { before, is_reply })
    }

    fn reply(before: Option<Tuple>) -> Option<Tracked> {
        let is_reply = true;
        Some(Tracked { before, is_reply })
    }

    #[test]
    fn an_answer_that_nat_did_not_change_is_what_it_was() {
        let asked = tuple(CLIENT, SERVER, (4000, 53));
        let answer = tuple(SERVER, CLIENT, (53, 4000));
        assert_eq!(asked.tracked(asked, answer), first(None));
        assert_eq!(answer.tracked(asked, answer), reply(None));
    }

    #[test]
    fn the_two_directions_are_distinguished() {
        // The source is translated: OTHER asks as CLIENT.
        let (asked, answer) = (
            tuple(OTHER, SERVER, (4000, 53)),
            tuple(SERVER, CLIENT, (53, 5000)),
        );
        assert_eq!(
            tuple(CLIENT, SERVER, (5000, 53)).tracked(asked, answer),
            first(Some(asked))
        );
        assert_eq!(
            tuple(SERVER, OTHER, (53, 4000)).tracked(asked, answer),
            reply(Some(answer))
        );
        // The destination is: what was for OTHER goes to SERVER, which answers as OTHER.
        let (asked, answer) = (
            tuple(CLIENT, OTHER, (4000, 53)),
            tuple(SERVER, CLIENT, (53, 4000)),
        );
        assert_eq!(
            tuple(CLIENT, SERVER, (4000, 53)).tracked(asked, answer),
            first(Some(asked))
        );
        assert_eq!(
            tuple(OTHER, CLIENT, (53, 4000)).tracked(asked, answer),
            reply(Some(answer))
        );
        let unrelated = tuple(CLIENT, SERVER, (1, 2));
        assert_eq!(unrelated.tracked(asked, answer), None);
    }

    #[test]
    fn a_tuple_is_read_as_it_is_written() {
        for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let tuple = Tuple {
                protocol: 17,
                source: source.parse().expect("an address"),
                destination: destination.parse().expect("an address"),
                source_port: 4000,
                destination_port: 9,
            };
            let message = Raw(Vec::new()).with_nested(ORIGINAL, &tuple.message());
            assert_eq!(Tuple::read(&message.0, ORIGINAL), Some(tuple));
            for length in 0..message.0.len() {
                assert_eq!(Tuple::read(&message.0[..length], ORIGINAL), None);
            }
        }
    }
}
