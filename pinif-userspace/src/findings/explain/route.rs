//! A route, and the rule that led to it, in words.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use pinif_ebpf::key::IfIndex;

use crate::host::{
    links::Links,
    routes::{self, Choice, EncapsulatedSource, Encapsulation, RouteType, kind_name, table_name},
};

/// A route, as `ip route` writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// What it does, where that is not to send on (`local`, `blackhole`, …).
    pub kind: Option<&'static str>,
    /// The destination prefix, such as `0.0.0.0/0`.
    pub prefix: IpNet,
    /// The type of service of the packets that it is for; zero where it is for all.
    pub tos: u8,
    /// The sources of the packets that it is for; none where it is for all.
    pub from: Option<IpNet>,
    /// The gateway; `None` where the destination is on the link.
    pub via: Option<IpAddr>,
    /// The gateway is on the link, whatever the link's networks are (`onlink`).
    pub is_onlink: bool,
    /// The interface; `None` where it leads nowhere.
    pub device: Option<String>,
    /// Its next hops, of which each flow uses one; none, if there is but one.
    pub hops: Vec<NextHop>,
    /// The next-hop object that it uses (`ip nexthop`).
    pub next_hop: Option<u32>,
    /// The table's name or number, and the VRF whose it is.
    pub table: String,
    /// The table's number.
    pub table_number: u32,
    /// The source address that it gives to packets that have none (`src`).
    pub source: Option<IpAddr>,
    /// Its metric; zero where it has none.
    pub metric: u32,
    /// The rule that led to the table, as `rule 100 (fwmark 0x7)`, where it is none of the three that every system has.
    pub rule: Option<String>,
    /// The priority before which another rule comes first: the rule's, or that of one that jumped to it.
    pub priority: Option<u32>,
    /// The rule takes packets for a mark that they have.
    pub by_mark: bool,
    /// What it puts its packets into, such as `encap seg6 mode encap segs fd00::2` (`encap` of `ip route`); none where they leave as they are.
    pub encapsulation: Option<Encapsulation>,
    /// What the route has beside all that, as `ip route` takes it; none where that cannot be written.
    pub beside: Option<String>,
}

/// One of several next hops of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// The interface.
    pub device: Option<String>,
    /// The gateway; `None` where the destination is on the link.
    pub via: Option<IpAddr>,
    /// The gateway is on the link, whatever the link's networks are (`onlink`).
    pub is_onlink: bool,
    /// The kernel passes over it, since its link carries nothing.
    pub is_dead: bool,
}

impl Route {
    /// A route of the kernel's tables.
    pub fn of(route: &routes::Route, links: &Links) -> Self {
        let name = |index: IfIndex| match links.get(index) {
            Some(link) => link.name.clone(),
            None => format!("if{}", index.0),
        };
        let hops = route.hops.iter().map(|hop| NextHop {
            device: hop.output.map(name),
            via: hop.gateway,
            is_onlink: hop.is_onlink,
            is_dead: hop.is_dead,
        });
        Self {
            kind: (route.kind != RouteType::Unicast).then(|| kind_name(route.kind)),
            prefix: route.prefix,
            tos: route.tos,
            from: route.from,
            via: route.gateway,
            is_onlink: route.is_onlink,
            device: route.output.map(name),
            hops: hops.collect(),
            next_hop: route.next_hop,
            table: table_name(route.table, links),
            table_number: route.table,
            source: route.preferred_source,
            metric: route.metric,
            rule: None,
            priority: None,
            by_mark: false,
            encapsulation: route.encapsulation.clone(),
            beside: route.beside.clone(),
        }
    }

    /// The same, with the rule that led to it.
    pub fn chosen(choice: &Choice, links: &Links) -> Self {
        let rule = choice.rule.as_ref().filter(|rule| !rule.is_everywhere());
        Self {
            rule: rule.map(ToString::to_string),
            priority: rule.and(choice.place),
            by_mark: rule.is_some_and(|rule| rule.selector.wants_mark()),
            ..Self::of(&choice.route, links)
        }
    }

    /// Whether it is in the table of another, and the same rule led there: a route there that leads home is for both.
    pub fn is_beside(&self, other: &Self) -> bool {
        (self.table_number, &self.rule) == (other.table_number, &other.rule)
    }

    /// Whether both are one entry of a table, whichever rule led there, and whichever of its next hops was taken.
    pub fn is_same_entry(&self, other: &Self) -> bool {
        let key = |route: &Self| (route.table_number, route.prefix, route.tos, route.metric);
        let hop = |route: &Self| match (route.next_hop, route.hops.len()) {
            (None, 0 | 1) => (route.device.clone(), route.via),
            _ => (None, None),
        };
        (key(self), self.next_hop, hop(self)) == (key(other), other.next_hop, hop(other))
    }

    /// The next hop by an interface, where it has several.
    pub fn hop_by(&self, device: &str) -> Option<&NextHop> {
        let is_it = |hop: &&NextHop| hop.device.as_deref() == Some(device);
        self.hops.iter().find(is_it).filter(|_| self.hops.len() > 1)
    }

    /// What it asks for beside the destination, as `ip route` takes it.
    pub fn selects(&self) -> String {
        selects(self.from, self.tos)
    }

    /// ` encap seg6 mode encap segs fd00::2`, of a route that puts its packets into others.
    pub fn encap(&self) -> String {
        let words = self.encapsulation.as_ref().map(|one| &one.words);
        words.map_or_else(String::new, |words| format!(" {words}"))
    }

    /// Whether it puts no packet around its packets, which go elsewhere by a header and keep their own source.
    pub fn keeps_source(&self) -> bool {
        let encapsulation = self.encapsulation.as_ref();
        encapsulation.is_some_and(Encapsulation::keeps_source)
    }

    /// Whether its outer packets have a source of its own (`tunsrc`), whatever its interface is.
    pub fn gives_source(&self) -> bool {
        let source = self.encapsulation.as_ref().map(|one| one.source);
        source == Some(EncapsulatedSource::Route)
    }

    /// `route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main`.
    fn alone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = self.kind {
            write!(f, "{kind} ")?;
        }
        write!(f, "route {}{}{}", self.prefix, self.selects(), self.encap())?;
        if let Some(via) = &self.via {
            write!(f, " via {via}")?;
        }
        if let Some(device) = &self.device {
            write!(f, " dev {device}")?;
        }
        if let Some(source) = &self.source {
            write!(f, " src {source}")?;
        }
        write!(f, " in table {}", self.table)
    }

    /// `rule 100 (fwmark 0x7) sent it to table 7, whose default route via 192.0.2.2 leaves via eth1`.
    fn by_rule(&self, rule: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{rule} sent it to table {}, whose ", self.table)?;
        if let Some(kind) = self.kind {
            write!(f, "{kind} ")?;
        }
        match self.prefix.prefix_len() {
            0 => write!(f, "default route{}", self.selects())?,
            _ => write!(f, "route {}{}", self.prefix, self.selects())?,
        }
        f.write_str(&self.encap())?;
        if let Some(via) = &self.via {
            write!(f, " via {via}")?;
        }
        if let Some(source) = &self.source {
            write!(f, " (src {source})")?;
        }
        match &self.device {
            Some(device) => write!(f, " leaves via {device}"),
            None => f.write_str(" applies"),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => self.by_rule(rule, f)?,
            None => self.alone(f)?,
        }
        match self.hops.len() {
            0 | 1 => Ok(()),
            hops => write!(f, ", one of its {hops} next hops"),
        }
    }
}

/// What shows the routes for groups (ip-mroute(8)).
pub(in crate::findings) const fn show_groups(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "ip -6 mroute" } else { "ip mroute" }
}

/// ` from fd00::/64`, ` tos 0x10`, of a route that is for such packets alone.
pub(in crate::findings) fn selects(from: Option<IpNet>, tos: u8) -> String {
    let mut text = from.map_or_else(String::new, |from| format!(" from {from}"));
    if tos != 0 {
        text.push_str(&format!(" tos {tos:#04x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::RouteProtocol;

    use super::*;
    use crate::host::{
        links::Link,
        routes::Hop,
        rules::{Action, Rule, Selector},
    };

    fn default_route() -> routes::Route {
        routes::Route {
            prefix: "0.0.0.0/0".parse().expect("a prefix"),
            tos: 0,
            from: None,
            gateway: Some([192, 0, 2, 2].into()),
            is_onlink: false,
            output: Some(IfIndex(3)),
            hops: Vec::new(),
            next_hop: None,
            table: 254,
            preferred_source: None,
            protocol: RouteProtocol::Static,
            kind: RouteType::Unicast,
            metric: 100,
            encapsulation: None,
            beside: None,
        }
    }

    fn links() -> Links {
        let vrf = Link {
            vrf_table: Some(10),
            ..Link::new(IfIndex(9), "blue")
        };
        Links::from_iter([Link::new(IfIndex(3), "eth1"), vrf])
    }

    fn text(route: &routes::Route) -> String {
        Route::of(route, &links()).to_string()
    }

    #[test]
    fn a_route_is_written_as_a_person_writes_it() {
        assert_eq!(
            text(&default_route()),
            "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
        );
        let unknown = routes::Route {
            output: Some(IfIndex(7)),
            table: 4711,
            ..default_route()
        };
        assert_eq!(
            text(&unknown),
            "route 0.0.0.0/0 via 192.0.2.2 dev if7 in table 4711"
        );
        let local = routes::Route {
            prefix: "2001:db8::1/128".parse().expect("a prefix"),
            gateway: None,
            kind: RouteType::Local,
            table: 255,
            ..default_route()
        };
        assert_eq!(
            text(&local),
            "local route 2001:db8::1/128 dev eth1 in table local"
        );
        let blackhole = routes::Route {
            gateway: None,
            output: None,
            kind: RouteType::BlackHole,
            table: 10,
            ..default_route()
        };
        assert_eq!(
            text(&blackhole),
            "blackhole route 0.0.0.0/0 in table 10 (vrf blue)"
        );
    }

    #[test]
    fn the_rule_comes_first_and_the_next_hops_last() {
        let hop = |index| Hop {
            gateway: None,
            output: Some(IfIndex(index)),
            is_onlink: false,
            is_dead: false,
        };
        let rule = Rule {
            priority: 100,
            selector: Selector {
                mark: Some((7, u32::MAX)),
                ..Selector::default()
            },
            action: Action::Table {
                table: 7,
                suppressed_length: None,
                suppressed_group: None,
            },
        };
        let route = routes::Route {
            table: 7,
            ..default_route()
        };
        let mut choice = Choice {
            route,
            rule: Some(rule),
            place: Some(100),
            source: None,
            instead: Vec::new(),
        };
        assert_eq!(
            Route::chosen(&choice, &links()).to_string(),
            "rule 100 (fwmark 0x7) sent it to table 7, whose default route via 192.0.2.2 leaves via eth1"
        );
        choice.route.prefix = "10.0.0.0/8".parse().expect("a prefix");
        choice.route.gateway = None;
        choice.route.hops = vec![hop(3), hop(4)];
        assert_eq!(
            Route::chosen(&choice, &links()).to_string(),
            "rule 100 (fwmark 0x7) sent it to table 7, whose route 10.0.0.0/8 leaves via eth1, one of its 2 next hops"
        );
        choice.rule = None;
        assert_eq!(
            Route::chosen(&choice, &links()).to_string(),
            "route 10.0.0.0/8 dev eth1 in table 7, one of its 2 next hops"
        );
    }
}
