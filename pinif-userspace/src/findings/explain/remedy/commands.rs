//! Who can take a remedy, and the commands and socket options that it is made of.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    model::{Lost, NewRoute, OutOfRule, Remedy, Then, Translation},
    together,
};
use crate::{
    findings::{
        explain::{
            Home, Route, SocketOption, Step, SubflowBy, Who,
            keep_out::of_interface,
            nft::{TABLE, line as nft, name as quoted},
            phrases::{options, shown},
            route::selects,
        },
        ways::Reach,
    },
    host::namespaces::Enter,
    text::shell::word,
};

const MAIN: u32 = libc::RT_TABLE_MAIN as u32;

impl Remedy {
    /// Who can do it. A program's setting is an operator's.
    pub fn who(&self) -> Who {
        match self {
            Self::Bind(_)
            | Self::BindAndNameNoOther(..)
            | Self::BindBoth { .. }
            | Self::BindToStay(_)
            | Self::BindOnce(_)
            | Self::BindInstead { .. }
            | Self::BindToAllowed(_)
            | Self::Uncross { .. }
            | Self::AnswerThere(..)
            | Self::ClearPktinfo(..)
            | Self::SetScope { .. }
            | Self::SetLinkIndex(_)
            | Self::JoinThere { .. }
            | Self::UseSource { .. }
            | Self::FindOverride(_) => Who::Developer,
            Self::Together(parts) => together::who(parts),
            _ => Who::Operator,
        }
    }

    /// The lines of a shell in the finding's namespace that do it; none where it takes more than those.
    pub(super) fn commands(&self) -> Vec<String> {
        let commands = match self {
            Self::Route(route) => route.commands(),
            Self::RouteAndTranslate(route, translation) => {
                let mut both = route.commands();
                match translation.command() {
                    Some(translate) if !both.is_empty() => both.push(translate),
                    _ => both.clear(),
                }
                both
            }
            Self::RouteAndMoveTunnel(route, tunnel) => {
                let mut both = route.commands();
                if !both.is_empty() {
                    both.push(tunnel.command());
                }
                both
            }
            Self::OutOfRule(rule) => rule.commands(),
            Self::RunBy { interface, .. } => {
                vec![format!(
                    "pinif run --interface {} -- COMMAND",
                    word(interface)
                )]
            }
            Self::PinService(pin) => vec![pin.command()],
            Self::Translate(translation) => translation.command().into_iter().collect(),
            Self::SourceOnRoute(route, source) => route.with_source(*source).into_iter().collect(),
            Self::Number {
                interface, address, ..
            } => {
                let length = if address.is_ipv4() { 32 } else { 128 };
                vec![format!(
                    "ip address add {address}/{length} dev {}",
                    word(interface)
                )]
            }
            Self::MoveTunnel(tunnel) => vec![tunnel.command()],
            Self::OuterSource(source) => source.commands(),
            Self::Together(parts) => together::commands(parts),
            Self::DropLeaving(what) => what.command("postrouting").into_iter().collect(),
            Self::DropForwarded(what) => what.command("forward").into_iter().collect(),
            Self::DeleteRule(rule) => rule.deletion().into_iter().collect(),
            Self::RemoveRedirect {
                rule: Some(rule), ..
            } => rule.deletion().into_iter().collect(),
            Self::JoinByRoute { groups, interface } => groups
                .iter()
                .map(|group| {
                    format!(
                        "{} route replace {group} dev {}{}",
                        ip(*group),
                        word(interface),
                        // IPv6 asks a table of its own for groups (`ip6_mr_forward` aside).
                        if group.is_ipv6() { " table local" } else { "" }
                    )
                })
                .collect(),
            Self::RouteInVrf { to, table, .. } => vec![format!(
                "{} route add unreachable default metric 4278198272 table {}",
                to.map_or("ip", ip),
                word(table)
            )],
            Self::Restore {
                link,
                lost: Lost::Down { is_bare: false, .. },
                then,
            } => {
                let up = format!("ip link set {} up", word(link));
                match then {
                    Then::Route(route) => match route.commands() {
                        none if none.is_empty() => none,
                        routes => std::iter::once(up).chain(routes).collect(),
                    },
                    Then::Nothing | Then::DropAt(_) | Then::Bind(_) => vec![up],
                }
            }
            Self::EndSubflow(end) => match &end.by {
                SubflowBy::Announced(_) => {
                    vec!["ip mptcp limits set add_addr_accepted 0".to_owned()]
                }
                SubflowBy::Device(_, id) | SubflowBy::Endpoint(_, id) => {
                    let delete = |id| format!("ip mptcp endpoint delete id {id}");
                    id.map(delete).into_iter().collect()
                }
            },
            Self::KeepOut(remedy) | Self::KeepOutUnseen(remedy) => remedy.commands(),
            Self::AnswerForOwn(interfaces) => interfaces.iter().map(|one| quiet_arp(one)).collect(),
            _ => Vec::new(),
        };
        // A word that begins so would be taken for an option.
        let is_safe = |line: &String| !line.contains(" dev -") && !line.contains("set -");
        if commands.iter().all(is_safe) {
            commands
        } else {
            Vec::new()
        }
    }

    /// What the program has to set, where one thing is enough.
    pub fn options(&self) -> Vec<SocketOption> {
        let option = |name: &str, value: Option<String>| SocketOption {
            name: name.to_owned(),
            value,
        };
        let device = |home: &Home| option("SO_BINDTODEVICE", first(home));
        match self {
            Self::Bind(home) | Self::BindToStay(home) | Self::BindOnce(home) => vec![device(home)],
            Self::BindInstead { home, address, .. } => {
                let bind = address.map(|address| option("bind", Some(address.to_string())));
                std::iter::once(device(home)).chain(bind).collect()
            }
            Self::BindAndNameNoOther(home, how) => {
                let others = options(how).map(|name| option(name, None));
                std::iter::once(device(home)).chain(others).collect()
            }
            Self::BindBoth { device, address } => vec![
                option("SO_BINDTODEVICE", Some(device.to_string())),
                option("bind", Some(address.to_string())),
            ],
            Self::Uncross {
                bound_address: Some(address),
                ..
            } => vec![option("bind", Some(address.to_string()))],
            Self::Uncross {
                owner: Some(owner), ..
            } => vec![option("SO_BINDTODEVICE", Some(owner.to_string()))],
            Self::AnswerThere(home, info) | Self::ClearPktinfo(home, info) => options(info.name())
                .map(|name| option(name, first(home)))
                .collect(),
            Self::SetScope { home, .. } => vec![option("sin6_scope_id", first(home))],
            Self::SetLinkIndex(home) => vec![option("sll_ifindex", first(home))],
            Self::JoinThere { home, is_ipv6 } => {
                let name = if *is_ipv6 {
                    "IPV6_ADD_MEMBERSHIP"
                } else {
                    "IP_ADD_MEMBERSHIP"
                };
                vec![option(name, first(home))]
            }
            Self::UseSource {
                in_header: false,
                address,
                ..
            } => {
                vec![option("bind", address.map(|address| address.to_string()))]
            }
            Self::Together(parts) => together::options(parts),
            _ => Vec::new(),
        }
    }
}

impl Remedy {
    /// The same for somebody who stands where pinif runs, from where this leads to the finding's namespace.
    pub fn step(&self, enter: &Enter) -> Step {
        let commands = self.commands();
        let lines = commands.iter().map(|line| enter.line(line));
        let commands = lines.collect::<Option<Vec<_>>>().unwrap_or_default();
        Step {
            who: self.who(),
            text: self.text(enter, &commands),
            commands,
            options: self.options(),
        }
    }
}

/// The line that keeps an interface from answering for, and asking with, addresses that it does not have.
fn quiet_arp(interface: &str) -> String {
    let setting = |name| of_interface(interface, name);
    format!(
        "sysctl -w {}=1 {}=2",
        setting("arp_ignore"),
        setting("arp_announce")
    )
}

impl NewRoute {
    pub(super) fn commands(&self) -> Vec<String> {
        let all = std::iter::once(self).chain(&self.and);
        let lines = all.flat_map(Self::own_commands);
        lines.collect::<Option<_>>().unwrap_or_default()
    }

    /// Its own lines, each none where it cannot be written.
    fn own_commands(&self) -> Vec<Option<String>> {
        if self.instead.is_empty() {
            return self.to.iter().map(|to| self.command(*to)).collect();
        }
        let deletions = self.instead.iter().map(Route::deletion);
        deletions.map(Some).collect()
    }

    fn command(&self, network: IpNet) -> Option<String> {
        let (to, way) = (network.addr(), self.way.as_ref()?);
        let mut line = format!(
            "{} route replace {}{}",
            ip(to),
            shown(network),
            selects(self.from, self.tos)
        );
        match way.reach {
            Reach::Nowhere => return None,
            Reach::Direct => {}
            Reach::Via { gateway, .. } => {
                line.push_str(&format!(" via {}{gateway}", family(gateway, to)));
            }
        }
        line.push_str(&format!(" dev {}", word(&way.interface)));
        if matches!(
            way.reach,
            Reach::Via {
                is_onlink: true,
                ..
            }
        ) {
            line.push_str(" onlink");
        }
        if let Some((_, number)) = self.table {
            line.push_str(&format!(" table {number}"));
        }
        if let Some(metric) = self.metric {
            line.push_str(&format!(" metric {metric}"));
        }
        Some(line)
    }
}

impl Route {
    /// The line that deletes it, and no other of its network.
    fn deletion(&self) -> String {
        let to = self.prefix.addr();
        let mut line = format!("{} route del {}{}", ip(to), self.prefix, self.selects());
        match (self.next_hop, self.hops.len()) {
            // What uses an object is found by no other next hop (`fib_nh_match`, `ip6_route_del`).
            (Some(id), _) => line.push_str(&format!(" nhid {id}")),
            // All of them.
            (None, 2..) => {}
            (None, _) => {
                if let Some(via) = self.via {
                    line.push_str(&format!(" via {}{via}", family(via, to)));
                }
                if let Some(device) = &self.device {
                    line.push_str(&format!(" dev {}", word(device)));
                }
            }
        }
        if self.table_number != MAIN {
            line.push_str(&format!(" table {}", self.table_number));
        }
        if self.metric != 0 {
            line.push_str(&format!(" metric {}", self.metric));
        }
        line
    }

    /// The line that gives it another source, and leaves all else as it is; none where that cannot be written.
    fn with_source(&self, source: IpAddr) -> Option<String> {
        // One of several next hops cannot be written so.
        let beside = self.beside.as_deref().filter(|_| self.hops.len() <= 1)?;
        let mut line = format!(
            "{} route replace {}{}{}",
            ip(source),
            self.prefix,
            self.selects(),
            self.encap()
        );
        if let Some(via) = self.via {
            line.push_str(&format!(" via {}{via}", family(via, source)));
        }
        if let Some(device) = &self.device {
            line.push_str(&format!(" dev {}", word(device)));
        }
        line.push_str(&format!(" table {}", self.table_number));
        if self.metric != 0 {
            line.push_str(&format!(" metric {}", self.metric));
        }
        line.push_str(&format!(" src {source}{beside}"));
        Some(line)
    }
}

impl OutOfRule {
    fn commands(&self) -> Vec<String> {
        // Of those with the same priority, the one that was there first is asked first (`fib_nl_newrule`): that for `local`, mostly, which has 0.
        let Some(before) = self.priority.and_then(|priority| priority.checked_sub(1)) else {
            return Vec::new();
        };
        let line = |to: &IpNet| {
            let (ip, to) = (ip(to.addr()), shown(*to));
            format!(
                "{ip} rule add pref {before} to {to} lookup {}",
                table(self.table)
            )
        };
        let others: Vec<_> = self.and.iter().map(NewRoute::commands).collect();
        if others.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        let own = self.to.iter().map(line);
        own.chain(others.into_iter().flatten()).collect()
    }
}

impl Translation {
    fn command(&self) -> Option<String> {
        let family = if self.is_ipv6 { "ip6" } else { "ip" };
        let from = self
            .source
            .map(|source| format!(" {family} saddr {source}"));
        // Before the usual place (`srcnat`): what another rule has translated there, is not asked for again.
        Some(nft(&format!(
            "add table {family} {TABLE}; add chain {family} {TABLE} source {{ type nat hook postrouting priority 99; }}; add rule \
             {family} {TABLE} source oifname {}{} masquerade",
            quoted(&self.egress)?,
            from.unwrap_or_default()
        )))
    }
}

/// What stands before a router of the other family than the route's.
fn family(gateway: IpAddr, of: IpAddr) -> &'static str {
    if gateway.is_ipv6() && of.is_ipv4() {
        "inet6 "
    } else {
        ""
    }
}

/// A table as `ip rule` takes it.
fn table(number: u32) -> String {
    match number {
        MAIN => "main".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn ip(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip -6" }
}

fn first(home: &Home) -> Option<String> {
    match home {
        Home::Interfaces(names) => names.first().map(|name| name.to_string()),
        Home::Zones(_) | Home::Unknown => None,
    }
}
