//! What is asked: a packet, as far as routing looks at it.

use std::net::IpAddr;

use netlink_packet_route::{
    AddressFamily,
    route::{RouteAttribute, RouteFlags, RouteMessage},
};
use pinif_ebpf::key::IfIndex;

use crate::host::numbering::Numbering;

/// A packet, as far as routing looks at it (`struct flowi`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteQuery {
    /// Where it goes.
    pub destination: IpAddr,
    /// Its source address, where it has one before it is routed. IPv4 wants one of the host's own.
    pub source: Option<IpAddr>,
    /// The interface that it is bound to, or that it names.
    pub output: Option<IfIndex>,
    /// The interface that it came in by, where it is forwarded; then it has a source.
    pub input: Option<IfIndex>,
    /// Its mark (`SO_MARK`); zero is none.
    pub mark: u32,
    /// The user that sends it; without one, root does.
    pub uid: Option<u32>,
    /// Its IP protocol. The kernel's look-up knows TCP, UDP and ICMP; others are asked for without.
    pub protocol: Option<u8>,
    /// Its source port, in host byte order.
    pub source_port: Option<u16>,
    /// Its destination port, in host byte order.
    pub destination_port: Option<u16>,
    /// Its type of service or traffic class (`IP_TOS`, `IPV6_TCLASS`); zero where it is not known.
    pub tos: u8,
    /// The one table that is asked, for the destination alone, whichever rules lead to it; with an interface, for the routes that lead by
    /// that, also those that a look-up for what is bound to it passes over. Without one, the rules are asked.
    pub table: Option<u32>,
}

impl RouteQuery {
    /// A packet of which only the destination is known.
    pub fn to(destination: IpAddr) -> Self {
        Self {
            destination,
            source: None,
            output: None,
            input: None,
            mark: 0,
            uid: None,
            protocol: None,
            source_port: None,
            destination_port: None,
            tos: 0,
            table: None,
        }
    }

    /// The protocol that the kernel is asked with: `rtm_getroute_parse_ip_proto` knows no more than these, and refuses the
    /// others.
    pub(in crate::host) fn asked_protocol(&self) -> Option<u8> {
        let known = [libc::IPPROTO_TCP, libc::IPPROTO_UDP, self.icmp()];
        self.protocol
            .filter(|protocol| known.contains(&i32::from(*protocol)))
    }

    /// The ports that the kernel is asked with; zero where it is asked without.
    pub(in crate::host) fn asked_ports(&self) -> (u16, u16) {
        match self.asked_protocol() {
            Some(protocol) if i32::from(protocol) != self.icmp() => (
                self.source_port.unwrap_or_default(),
                self.destination_port.unwrap_or_default(),
            ),
            _ => (0, 0),
        }
    }

    fn icmp(&self) -> i32 {
        if self.destination.is_ipv4() {
            libc::IPPROTO_ICMP
        } else {
            libc::IPPROTO_ICMPV6
        }
    }

    pub(super) fn message(&self, flags: RouteFlags, numbering: Numbering) -> RouteMessage {
        let bits = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let mut message = RouteMessage::default();
        let header = &mut message.header;
        header.address_family = if self.destination.is_ipv4() {
            AddressFamily::Inet
        } else {
            AddressFamily::Inet6
        };
        header.destination_prefix_length = bits(self.destination);
        header.flags = flags;
        header.tos = self.tos;
        let attributes = &mut message.attributes;
        attributes.push(RouteAttribute::Destination(self.destination.into()));
        if let Some(source) = self.source.filter(|source| !source.is_unspecified()) {
            message.header.source_prefix_length = bits(source);
            attributes.push(RouteAttribute::Source(source.into()));
        }
        attributes.extend(
            self.output
                .filter(|index| index.is_some())
                .map(|index| RouteAttribute::Oif(numbering.stand_in(index).0)),
        );
        attributes.extend(
            self.input
                .map(|index| RouteAttribute::Iif(numbering.stand_in(index).0)),
        );
        if self.mark != 0 {
            attributes.push(RouteAttribute::Mark(self.mark));
        }
        // What is forwarded is root's (`ip_route_input_slow`, `ip6_route_input`); without a user, IPv6 would look for what is of none
        // (`inet6_rtm_getroute`).
        let forwarded = self.input.map(|_| 0);
        attributes.extend(self.uid.or(forwarded).map(RouteAttribute::Uid));
        if let Some(protocol) = self.asked_protocol() {
            attributes.push(RouteAttribute::IpProto(protocol));
            if i32::from(protocol) != self.icmp() {
                attributes.extend(self.source_port.map(RouteAttribute::Sport));
                attributes.extend(self.destination_port.map(RouteAttribute::Dport));
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_asked_for_only_with_a_protocol_that_the_kernel_knows() {
        let query = |protocol| RouteQuery {
            protocol,
            source_port: Some(5),
            destination_port: Some(6),
            ..RouteQuery::to([10, 0, 0, 1].into())
        };
        let asked = |protocol| {
            let message = query(protocol).message(RouteFlags::FibMatch, Numbering::OWN);
            message.attributes.into_iter().skip(1).collect::<Vec<_>>()
        };
        let ports = [
            RouteAttribute::IpProto(17),
            RouteAttribute::Sport(5),
            RouteAttribute::Dport(6),
        ];
        assert_eq!(asked(Some(17)), ports);
        assert_eq!(asked(Some(1)), [RouteAttribute::IpProto(1)]);
        assert_eq!(asked(Some(132)), []);
        assert_eq!(asked(None), []);
    }
}
