//! Which route a packet takes, by the kernel's own look-up, and the rule that chose it.

mod answer;
mod beside;
mod dump;
mod encapsulating;
mod encapsulation;
mod error;
mod in_table;
mod prefixes;
mod query;

use std::{collections::BTreeSet, io, net::IpAddr};

use netlink_packet_core::Parseable;
use netlink_packet_route::{
    link::{LinkAttribute, LinkMessage},
    route::{RouteFlags, RouteMessage},
};
use netlink_sys::protocols::NETLINK_ROUTE;
use pinif_ebpf::key::IfIndex;

use super::{
    links::Links,
    netlink::Requester,
    netns::NetNs,
    numbering::Numbering,
    rules::{Flow, Rule, Rules},
};

pub use answer::{Hop, Route, RouteProtocol, RouteResult, RouteType, kind_name, table_name};
pub use encapsulating::encapsulating;
pub use encapsulation::{EncapsulatedSource, Encapsulation};
pub use error::RouteError;
pub use prefixes::prefixes;
pub use query::RouteQuery;

/// A packet's route, and the rule that led to its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The route.
    pub route: Route,
    /// The rule; none where it is not certain.
    pub rule: Option<Rule>,
    /// The priority that another rule would have to come before, to be asked first; none where there is no rule.
    pub place: Option<u32>,
    /// The source address that the packet leaves with: its own, or the one that the kernel gives it (`fib_result_prefsrc`,
    /// `ip6_route_get_saddr`).
    pub source: Option<IpAddr>,
    /// Where one table was asked by an interface ([`RouteQuery::table`]): the other routes for the same network, type of service and metric that
    /// are followed instead of this one. Those before it (`fib_table_lookup`); those behind it as well, of IPv4's default routes
    /// (`fib_select_default`) and of IPv6 (`find_rr_leaf`), where a router does not answer.
    pub instead: Vec<Route>,
}

/// Asks one namespace's routing.
pub struct RouteOracle {
    netns: NetNs,
    numbering: Numbering,
    requester: Requester,
    /// Of IPv4 and of IPv6, as they were read last.
    rules: [Option<Rules>; 2],
    /// The tables of IPv4 that had no route for a type of service when they were read last.
    without_tos: BTreeSet<u32>,
}

impl RouteOracle {
    /// Opens a connection to a namespace's routing.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn open(netns: &NetNs) -> io::Result<Self> {
        Self::open_copy(netns, Numbering::OWN)
    }

    /// The same for a copy of a namespace. Questions and answers have the original's indexes.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_copy(netns: &NetNs, numbering: Numbering) -> io::Result<Self> {
        Ok(Self {
            netns: netns.clone(),
            numbering,
            requester: netns.run(|| Requester::open(NETLINK_ROUTE))??,
            rules: [None, None],
            without_tos: BTreeSet::new(),
        })
    }

    /// The route that a packet takes now, and the rule that led to its table. `links` are the namespace's interfaces.
    ///
    /// # Errors
    /// As [`Self::look_up`]. Rules that cannot be read leave the rule unknown.
    pub fn choose(&mut self, query: &RouteQuery, links: &Links) -> Result<Choice, RouteError> {
        if let Some(table) = query.table {
            return self.in_table(query, table);
        }
        if let Some(choice) = self.choose_by_protocol(query, links) {
            return Ok(choice);
        }
        let route = match self.look_up(query) {
            Err(refused @ RouteError::Unreachable(_)) if self.is_of_none(query) => {
                return self.choose_by_rules(query, links).ok_or(refused);
            }
            answer => answer?,
        };
        let (rule, place) = self.rule_of(query, &route, links).unzip();
        let source = match query.source {
            None if query.input.is_none() => self.way(query).ok().flatten(),
            _ => None,
        };
        Ok(Choice {
            source: query.source.or(source.and_then(|way| way.source)),
            route,
            rule,
            place,
            instead: Vec::new(),
        })
    }

    /// Whether a packet is sent from an address of IPv4 that is none of the host's own (`__ip_dev_find`). The kernel routes it for a socket that
    /// may send from any (`FLOWI_FLAG_ANYSRC`: `IP_TRANSPARENT`, `IP_HDRINCL`), and answers no question about it
    /// (`ip_route_output_key_hash_rcu`). IPv6 asks for no such flag.
    fn is_of_none(&mut self, query: &RouteQuery) -> bool {
        let source = query.source.filter(IpAddr::is_ipv4);
        let sent = source.filter(|_| query.input.is_none());
        sent.is_some_and(|source| {
            let answer = self.ask(&RouteQuery::to(source), RouteFlags::empty());
            !answer.is_ok_and(|route| route.kind == RouteType::Local)
        })
    }

    /// The route of such a packet. Nothing but the rules looks at a source: where these do not distinguish it from none, the kernel's answer
    /// without it is this packet's as well. Else they are gone through here.
    fn choose_by_rules(&mut self, query: &RouteQuery, links: &Links) -> Option<Choice> {
        let without = RouteQuery {
            source: None,
            ..query.clone()
        };
        self.read_rules(false);
        let rules = self.rules[0].clone();
        let (flow, none) = (Flow::of(query, links), Flow::of(&without, links));
        let is_alike = |rule: &Rule| rule.selector.takes(&flow) == rule.selector.takes(&none);
        if rules
            .as_ref()
            .is_none_or(|rules| rules.iter().all(is_alike))
        {
            let choice = self.choose(&without, links).ok()?;
            return Some(Choice {
                source: query.source,
                ..choice
            });
        }
        // With an interface, the next hops of each route are looked at one by one (`fib_lookup_good_nhc`).
        let rules = rules.filter(|_| query.output.is_none())?;
        let (rule, place, route) = self.walk(&rules, &flow, query)?;
        Some(Choice {
            source: query.source,
            rule: Some(rule),
            place: Some(place),
            route,
            instead: Vec::new(),
        })
    }

    /// The route of a packet of a protocol that the kernel cannot be asked for ([`RouteQuery::asked_protocol`]), where rules distinguish it from one
    /// without: they are gone through here.
    fn choose_by_protocol(&mut self, query: &RouteQuery, links: &Links) -> Option<Choice> {
        let is_asked = query.protocol.is_none() || query.asked_protocol().is_some();
        if is_asked || query.output.is_some() {
            return None;
        }
        let is_ipv6 = query.destination.is_ipv6();
        self.read_rules(is_ipv6);
        let rules = self.rules[usize::from(is_ipv6)].clone()?;
        let (routed, asked) = (Flow::routed(query, links), Flow::of(query, links));
        let is_alike = |rule: &Rule| rule.selector.takes(&routed) == rule.selector.takes(&asked);
        if rules.iter().all(is_alike) {
            return None;
        }
        let (rule, place, route) = self.walk(&rules, &routed, query)?;
        let by_route = RouteQuery {
            output: route.output,
            ..query.clone()
        };
        let chosen = || self.way(&by_route).ok().flatten()?.source;
        let source = query.source.or(route.preferred_source).or_else(chosen);
        Some(Choice {
            source,
            rule: Some(rule),
            place: Some(place),
            route,
            instead: Vec::new(),
        })
    }

    /// The first rule that takes a packet and leads to a route, the priority that another would have to come before, and the route.
    fn walk(
        &self,
        rules: &Rules,
        flow: &Flow<'_>,
        query: &RouteQuery,
    ) -> Option<(Rule, u32, Route)> {
        let in_table = |table| match self.in_table(query, table) {
            Ok(choice) => Ok(Some(choice.route)),
            Err(RouteError::Unreachable(_)) => Ok(None),
            Err(error) => Err(error),
        };
        let (chosen, route) = rules.first_route(flow, in_table)?;
        Some((chosen.rule.clone(), chosen.place, route))
    }

    /// The route that a table has for a packet.
    fn in_table(&self, query: &RouteQuery, table: u32) -> Result<Choice, RouteError> {
        let destination = query.destination;
        let found = in_table::find(&self.netns, self.numbering, table, query);
        let found = found.map_err(|source| RouteError::Refused {
            destination,
            source,
        });
        let (route, instead) = found?.ok_or(RouteError::Unreachable(destination))?;
        Ok(Choice {
            source: route.preferred_source,
            rule: None,
            place: None,
            route,
            instead,
        })
    }

    /// That rules or routes have changed: what is kept of them is read again when it is needed.
    pub fn rules_changed(&mut self) {
        self.rules = [None, None];
        self.without_tos.clear();
    }

    fn rule_of(&mut self, query: &RouteQuery, route: &Route, links: &Links) -> Option<(Rule, u32)> {
        let is_ipv6 = query.destination.is_ipv6();
        self.read_rules(is_ipv6);
        let Self {
            numbering,
            requester,
            rules,
            ..
        } = self;
        let mut group = |interface| group_of(requester, numbering.stand_in(interface));
        let rules = rules[usize::from(is_ipv6)].as_ref()?;
        let chosen = rules.chosen(&Flow::of(query, links), route, &mut group)?;
        Some((chosen.rule.clone(), chosen.place))
    }

    /// Reads the rules of a family, where they are not known; they stay unknown where they cannot be read.
    fn read_rules(&mut self, is_ipv6: bool) {
        let rules = &mut self.rules[usize::from(is_ipv6)];
        if rules.is_none() {
            *rules = Rules::read(&self.netns, is_ipv6).ok();
        }
    }

    /// Where a packet leaves now, and from which address: one question, where [`Self::look_up`] may ask several.
    ///
    /// # Errors
    /// As [`Self::look_up`], but for `OnLink`, which is a way.
    pub fn way(&mut self, query: &RouteQuery) -> Result<Option<RouteResult>, RouteError> {
        let route = self.ask(query, RouteFlags::empty())?;
        let output = match route.kind {
            RouteType::Local => Some(IfIndex::LOOPBACK),
            _ => route.output,
        };
        Ok(output.map(|output| RouteResult {
            output,
            source: query.source.or(route.preferred_source),
        }))
    }

    /// The route that a packet takes now.
    ///
    /// It is answered in some microseconds, within the calling thread.
    ///
    /// # Errors
    /// Where no route leads there, or the kernel refuses the question.
    pub fn look_up(&mut self, query: &RouteQuery) -> Result<Route, RouteError> {
        let matched = RouteFlags::FibMatch | RouteFlags::LookupTable;
        let mut route = match self.ask(query, matched) {
            Err(RouteError::Unreachable(destination))
                if query.output.is_some() || query.source.is_some() =>
            {
                // The entry that matches is asked for, and there is none; the packet may go all the same.
                return Err(match self.ask(query, RouteFlags::empty()) {
                    Ok(_) if query.output.is_some() => RouteError::OnLink(destination),
                    Ok(Route {
                        output: Some(output),
                        ..
                    }) => RouteError::BySource(destination, output),
                    Ok(_) => RouteError::Unreachable(destination),
                    Err(error) => error,
                });
            }
            result => result?,
        };
        route.take_kind_of_entry();
        if route.tos != 0 {
            route.tos = self.tos_of(&route, query.tos);
        }
        if route.output.is_none() {
            // Several next hops: only an ordinary look-up says which of them this flow takes.
            let chosen = self.ask(query, RouteFlags::empty())?;
            route.gateway = chosen.gateway;
            route.output = chosen.output;
            let is_it = |hop: &&Hop| (hop.gateway, hop.output) == (chosen.gateway, chosen.output);
            route.is_onlink = route
                .hops
                .iter()
                .find(is_it)
                .is_some_and(|hop| hop.is_onlink);
        }
        Ok(route)
    }

    /// The type of service that the route is for, which the kernel has answered with one. Where that cannot be read, it is taken for one for
    /// all.
    fn tos_of(&mut self, route: &Route, asked: u8) -> u8 {
        if route.prefix.addr().is_ipv6() || self.without_tos.contains(&route.table) {
            return 0;
        }
        let tos = in_table::tos_of(&self.netns, self.numbering, route, asked);
        if let Ok(None) = tos {
            self.without_tos.insert(route.table);
        }
        tos.ok().flatten().unwrap_or(0)
    }

    fn ask(&mut self, query: &RouteQuery, flags: RouteFlags) -> Result<Route, RouteError> {
        let destination = query.destination;
        let numbering = self.numbering;
        let read = |_, payload: &[u8]| RouteMessage::parse(payload);
        match self
            .requester
            .request(libc::RTM_GETROUTE, &query.message(flags, numbering), read)
        {
            Ok(Ok(message)) => {
                let route = Route::read(&message, numbering);
                // Without the entry that matched, the source is the packet's own (`rt6_fill_node`).
                let of_entry = flags.contains(RouteFlags::FibMatch);
                Ok(Route {
                    from: route.from.filter(|_| of_entry),
                    ..route
                })
            }
            Ok(Err(source)) => Err(RouteError::Unreadable {
                destination,
                source,
            }),
            Err(error) => Err(match error.raw_os_error() {
                Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
                    RouteError::Unreachable(destination)
                }
                Some(libc::EACCES) => RouteError::Prohibited(destination),
                _ => RouteError::Refused {
                    destination,
                    source: error,
                },
            }),
        }
    }
}

/// The group of an interface (`ip link set group`).
fn group_of(requester: &mut Requester, interface: IfIndex) -> Option<u32> {
    let mut question = LinkMessage::default();
    question.header.index = interface.0;
    let read = |_, payload: &[u8]| LinkMessage::parse(payload).ok();
    let link = requester
        .request(libc::RTM_GETLINK, &question, read)
        .ok()??;
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Group(group) => Some(*group),
            _ => None,
        })
}
