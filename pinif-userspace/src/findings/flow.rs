//! The headers of a packet, and how a line writes them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The headers of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The IP protocol's number.
    pub protocol: u8,
    /// Where it is from.
    pub source: Endpoint,
    /// Where it goes.
    pub destination: Endpoint,
}

impl Flow {
    /// Whether its addresses are of IPv6.
    pub const fn is_ipv6(&self) -> bool {
        self.destination.address.is_ipv6()
    }
}

/// An address, and the port of protocols that have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// Its bytes, and whether there is one: as an `Option<u16>` it would take as much again for its place.
    port: [u8; 2],
    has_port: bool,
}

impl Endpoint {
    /// An address, and its port where it has one.
    pub fn new(address: IpAddr, port: Option<u16>) -> Self {
        Self {
            address,
            port: port.unwrap_or_default().to_ne_bytes(),
            has_port: port.is_some(),
        }
    }

    /// The port.
    pub fn port(&self) -> Option<u16> {
        self.has_port.then_some(u16::from_ne_bytes(self.port))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port() {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

/// An address as `source` and `destination` say it.
pub fn endpoint_text(address: IpAddr, port: Option<u16>) -> String {
    Endpoint::new(address, port).to_string()
}

/// A protocol as `protocol` says it, from its number (IANA's registry; `/etc/protocols`).
pub fn protocol_text(number: u8) -> String {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        132 => "sctp",
        136 => "udplite",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// A protocol as people write it, from what `protocol` says: `UDP`, `ICMPv6`, `IP protocol 253`.
pub fn protocol_name(text: &str) -> String {
    match text {
        "ipip" => "IP in IP".to_owned(),
        "ipv6" => "IPv6 in IP".to_owned(),
        "icmpv6" => "ICMPv6".to_owned(),
        "udplite" => "UDP-Lite".to_owned(),
        text if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("IP protocol {text}")
        }
        text => text.to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_a_port_only_where_there_is_one() {
        let v6: IpAddr = "fd00::1".parse().expect("an address");
        assert_eq!(
            endpoint_text(IpAddr::from([10, 0, 0, 1]), Some(40000)),
            "10.0.0.1:40000"
        );
        assert_eq!(endpoint_text(v6, Some(40000)), "[fd00::1]:40000");
        assert_eq!(endpoint_text(v6, None), "fd00::1");
        assert_eq!(
            (protocol_text(17), protocol_text(253)),
            ("udp".to_owned(), "253".to_owned())
        );
        assert_eq!(
            [17, 58, 41, 253].map(|number| protocol_name(&protocol_text(number))),
            ["UDP", "ICMPv6", "IPv6 in IP", "IP protocol 253"]
        );
    }
}
