//! A route that may be added or removed, as ip-route(8) writes it.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::{
    numbered::STAND_INS,
    wire::{RTA_OIF, Raw},
};
use crate::host::links::Links;

/// `PREFIX [via ADDRESS] [dev NAME] [table NUMBER] [metric NUMBER]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    prefix: IpNet,
    via: Option<IpAddr>,
    device: Option<String>,
    table: u32,
    metric: Option<u32>,
}

const RT_TABLE_MAIN: u32 = 254;

impl FromStr for RouteSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let first = words.next().ok_or("a route begins with its destination")?;
        let mut spec = Self {
            prefix: "0.0.0.0/0".parse().map_err(|_| String::new())?,
            via: None,
            device: None,
            table: RT_TABLE_MAIN,
            metric: None,
        };
        while let Some(word) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("`{word}` has no value"))?;
            let bad = || format!("`{value}` is no value for `{word}`");
            match word {
                "via" => spec.via = Some(value.parse().map_err(|_| bad())?),
                "dev" => spec.device = Some(value.to_owned()),
                "table" if value == "main" => spec.table = RT_TABLE_MAIN,
                "table" => spec.table = value.parse().map_err(|_| bad())?,
                "metric" => spec.metric = Some(value.parse().map_err(|_| bad())?),
                _ => {
                    return Err(format!(
                        "`{word}` is not known; a route is `PREFIX [via ADDRESS] [dev NAME] [table NUMBER] [metric NUMBER]`"
                    ));
                }
            }
        }
        spec.prefix = match (first, spec.via) {
            ("default", Some(IpAddr::V6(_))) => "::/0".to_owned(),
            ("default", _) => "0.0.0.0/0".to_owned(),
            (prefix, _) => prefix.to_owned(),
        }
        .parse::<IpNet>()
        .or_else(|_| first.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            format!("`{first}` is no destination; write a prefix such as 10.0.0.0/8, or `default`")
        })?
        .trunc();
        if spec
            .via
            .is_some_and(|via| via.is_ipv4() != spec.prefix.addr().is_ipv4())
        {
            return Err("the gateway is of another family than the destination".to_owned());
        }
        Ok(spec)
    }
}

impl RouteSpec {
    /// What ip-route(8) is given for routes of its family, with a space behind it; nothing of IPv4.
    pub(super) fn family(&self) -> &'static str {
        if self.prefix.addr().is_ipv6() {
            "-6 "
        } else {
            ""
        }
    }
}

impl fmt::Display for RouteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}", self.prefix)?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(device) = &self.device {
            write!(f, " dev {device}")?;
        }
        if self.table != RT_TABLE_MAIN {
            write!(f, " table {}", self.table)?;
        }
        match self.metric {
            Some(metric) => write!(f, " metric {metric}"),
            None => Ok(()),
        }
    }
}

impl RouteSpec {
    /// The message that adds it in a copy, or removes it (`struct rtmsg`).
    ///
    /// # Errors
    ///
    /// The interface's name, where there is none of it.
    pub(super) fn message(&self, links: &Links, adds: bool) -> Result<Raw, String> {
        const RTPROT_BOOT: u8 = 3;
        const RT_SCOPE_LINK: u8 = 253;
        const RT_SCOPE_NOWHERE: u8 = 255;
        const RTN_UNICAST: u8 = 1;
        let v4 = self.prefix.addr().is_ipv4();
        let family = if v4 { libc::AF_INET } else { libc::AF_INET6 };
        let mut message = Raw::question(12, family as u8);
        message.0[1] = self.prefix.prefix_len();
        if adds {
            message.0[5] = RTPROT_BOOT;
            message.0[6] = if v4 && self.via.is_none() {
                RT_SCOPE_LINK
            } else {
                0
            };
            message.0[7] = RTN_UNICAST;
        } else {
            // Whatever its scope is.
            message.0[6] = if v4 { RT_SCOPE_NOWHERE } else { 0 };
        }
        if self.prefix.prefix_len() != 0 {
            message = message.with(1, &octets(self.prefix.addr()));
        }
        if let Some(name) = &self.device {
            let link = links.by_name(name).ok_or_else(|| name.clone())?;
            let index = STAND_INS.stand_in(link.index);
            message = message.with(RTA_OIF, &index.0.to_ne_bytes());
        }
        if let Some(via) = self.via {
            message = message.with(5, &octets(via));
        }
        if let Some(metric) = self.metric {
            message = message.with(6, &metric.to_ne_bytes());
        }
        Ok(message.with(15, &self.table.to_ne_bytes()))
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_as_it_is_written() {
        for text in [
            "route 10.9.0.0/16 via 192.0.2.2 dev eth1 table 7 metric 20",
            "route 0.0.0.0/0 via 192.0.2.2",
            "route fd00::/8 dev fab0",
        ] {
            let spec: RouteSpec = text["route ".len()..].parse().expect("a route");
            assert_eq!(spec.to_string(), text);
        }
        let read = |text: &str| text.parse::<RouteSpec>().map(|spec| spec.to_string());
        assert_eq!(
            read("default via fe80::1 dev eth1").as_deref(),
            Ok("route ::/0 via fe80::1 dev eth1")
        );
        assert_eq!(
            read("10.0.0.9 dev fab0").as_deref(),
            Ok("route 10.0.0.9/32 dev fab0")
        );
        for text in [
            "",
            "via 10.0.0.1",
            "10.0.0.0/33",
            "10.0.0.0/8 via",
            "10.0.0.0/8 via fd00::1",
            "10.0.0.0/8 nexthop x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
