//! The words of remedies.

use std::{fmt, net::IpAddr};

use super::{
    bound::{STAYS, bind},
    destinations::{And, destination, destinations},
    dropped::{Dropped, Traffic},
    model::{OutOfRule, Remedy, Setting, Translation},
    restored::restored,
};
use crate::{
    findings::explain::{route::show_groups, step::in_brackets},
    host::namespaces::Enter,
    text::words::listed,
};

impl Remedy {
    /// An order to the reader, without a full stop; the commands that do it are in brackets.
    pub(super) fn text(&self, enter: &Enter, commands: &[String]) -> String {
        let mut text = Order {
            remedy: self,
            enter,
        }
        .to_string();
        text.push_str(&in_brackets(commands));
        text
    }
}

/// The words of a remedy, for somebody from where this leads to the finding's namespace.
struct Order<'a> {
    remedy: &'a Remedy,
    enter: &'a Enter,
}

impl fmt::Display for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look = |line: &str| self.enter.line(line).unwrap_or_else(|| line.to_owned());
        match self.remedy {
            Remedy::Bind(home) => bind(f, home),
            Remedy::BindAndNameNoOther(home, option) => {
                bind(f, home)?;
                write!(f, ", and let the program name no other ({option})")
            }
            Remedy::BindBoth { device, address } => write!(
                f,
                "bind the socket to {device} with SO_BINDTODEVICE, and let it send from {address}, {device}'s address"
            ),
            Remedy::BindToStay(home) => {
                bind(f, home)?;
                f.write_str(STAYS)
            }
            Remedy::BindOnce(home) => write!(
                f,
                "bind the socket to {home} once, before it sends, and leave it bound"
            ),
            Remedy::BindInstead {
                home,
                address,
                bound,
                egress,
            } => {
                write!(f, "bind the socket to {home} instead of {bound}")?;
                if let Some(address) = address {
                    write!(f, " and let it send from {address}, {home}'s address")?;
                }
                write!(f, ", or let the rule allow {egress}")
            }
            Remedy::Allow {
                rule,
                egress,
                bound,
            } => {
                write!(f, "let rule {rule} allow {egress}")?;
                match bound {
                    Some(bound) => {
                        write!(f, ", or bind the socket to another device than {bound}")
                    }
                    None => Ok(()),
                }
            }
            Remedy::BindToAllowed(rule) => write!(
                f,
                "bind the socket to an interface that rule {rule} allows, with SO_BINDTODEVICE"
            ),
            Remedy::Uncross {
                bound,
                bound_address,
                owner,
            } => {
                let bound = bound.as_deref().unwrap_or("the bound device");
                match bound_address {
                    Some(address) => {
                        write!(f, "bind the socket to {address}, an address of {bound}")?;
                    }
                    None => write!(f, "bind the socket to an address of {bound}")?,
                }
                match owner {
                    Some(owner) => write!(f, ", or to the device {owner}"),
                    None => Ok(()),
                }
            }
            Remedy::AnswerThere(home, info) => write!(
                f,
                "answer with the request's {info}, whose {} is that of {home}, or bind a socket to each interface",
                info.index()
            ),
            Remedy::AskWhyRefused { device, error } => write!(
                f,
                "find out why SO_BINDTODEVICE to {device} fails ({error}), and let the program stop when it does"
            ),
            Remedy::NameDevice(home, address) => write!(
                f,
                "give the program the name {home} instead of the address {address}"
            ),
            Remedy::JoinThere { home, is_ipv6 } => {
                let field = if *is_ipv6 { "ipv6mr_interface" } else { "imr_ifindex" };
                write!(f, "name {home} where the program joins the group ({field}, gr_interface)")
            }
            Remedy::ClearPktinfo(home, info) => write!(
                f,
                "send without {}, or set it to {home}",
                info.indexes()
            ),
            Remedy::SetScope { home, is_bound } => {
                let or_none = if *is_bound { ", or to 0" } else { "" };
                write!(f, "set sin6_scope_id to the index of {home}{or_none}")
            }
            Remedy::SetLinkIndex(home) => write!(f, "send with the index of {home} in sll_ifindex"),
            Remedy::FindOverride(home) => write!(
                f,
                "look in the program for what chooses an interface for each packet (IP_PKTINFO, sin6_scope_id), and on \
                 {home} for tc and nft rules that redirect"
            ),
            Remedy::Route(route) => write!(f, "{route}"),
            Remedy::RouteAndTranslate(route, Translation { source, egress, .. }) => write!(
                f,
                "{route}, and translate the source{} there to an address of {egress}",
                address(*source)
            ),
            Remedy::RouteAndMoveTunnel(route, tunnel) => write!(f, "{route}, and {tunnel}"),
            Remedy::OutOfRule(OutOfRule {
                to,
                rule,
                and,
                beside,
                ..
            }) => {
                let (to, and) = (destinations(to), And(and, "give "));
                write!(f, "keep {to} out of {rule}{and}{beside}")
            }
            Remedy::Decide { to, home, allow, is_for_unbound } => {
                let to = destination(*to);
                if *is_for_unbound {
                    write!(
                        f,
                        "decide how {to} is reached: its route via {home} is behind a next-hop object or one of a group of them, \
                         and no bound socket follows it; give it a route there without such objects"
                    )?;
                } else {
                    write!(
                        f,
                        "decide where {to} belongs: no route leads there via {home}, so that a socket bound there would wait for \
                         a neighbour that does not answer; give it a router there"
                    )?;
                }
                match allow {
                    Some((rule, egress)) => write!(f, ", or let rule {rule} allow {egress}"),
                    None => Ok(()),
                }
            }
            Remedy::NotEncapsulated { to, route, home, egress, rule } => {
                let to = destination(*to);
                write!(
                    f,
                    "decide where {to} belongs: the route {route} encapsulates what goes there, and the outer packets leave via {egress}; lead \
                     these via {home}, or let the route not encapsulate"
                )?;
                match rule {
                    Some(rule) => write!(f, ", or let rule {rule} allow {egress}"),
                    None => Ok(()),
                }
            }
            Remedy::RunBy { meets, .. } => {
                write!(f, "start the program by pinif run{meets}")
            }
            Remedy::PinService(pin) => write!(f, "{pin}"),
            Remedy::Configure(Setting {
                program,
                name,
                value,
            }) => write!(f, "give {program} the source address {value} ({name})"),
            Remedy::UseSource {
                address,
                or_none,
                packet_info,
                in_header: true,
                egress,
            } => {
                f.write_str("let the program write ")?;
                match address {
                    Some(address) => write!(f, "the source {address}, {egress}'s address,")?,
                    None => write!(f, "a source of {egress}'s")?,
                }
                // The kernel fills in a source of zeros (`raw_send_hdrinc`), IPv6 does not (`rawv6_send_hdrinc`).
                if *or_none && !packet_info.is_ipv6() {
                    f.write_str(" or 0.0.0.0, which the kernel replaces,")?;
                }
                let option = if packet_info.is_ipv6() { "IPV6_HDRINCL" } else { "IP_HDRINCL" };
                write!(f, " in its own header ({option})")
            }
            Remedy::UseSource {
                address,
                or_none,
                packet_info,
                egress,
                ..
            } => {
                match address {
                    Some(address) => {
                        write!(f, "let the program send from {address}, {egress}'s address")?;
                        f.write_str(if *or_none { ", or from none" } else { "" })?;
                    }
                    None => f.write_str("let the program send from no address of its own")?,
                }
                write!(f, " (bind(), {packet_info})")
            }
            Remedy::Translate(Translation { source, egress, .. }) => write!(
                f,
                "translate the source{} to an address of {egress} where it leaves by that",
                address(*source)
            ),
            Remedy::SourceOnRoute(route, source) => write!(
                f,
                "let the route {} give packets the source {source}",
                route.prefix
            ),
            Remedy::Number {
                interface,
                has_another: true,
                address,
            } => write!(f, "give {interface} the address {address} as well"),
            Remedy::Number {
                interface, address, ..
            } => write!(
                f,
                "give {interface} an address of its own, or {address} as well"
            ),
            Remedy::MoveTunnel(tunnel) => write!(f, "{tunnel}"),
            Remedy::OuterSource(source) => write!(f, "{source}"),
            Remedy::Together(parts) => parts.iter().enumerate().try_for_each(|(number, part)| {
                let enter = self.enter;
                let part = Order { remedy: part, enter };
                write!(f, "{}{part}", if number == 0 { "" } else { ", and " })
            }),
            Remedy::DropLeaving(Dropped { egress, what, .. }) => {
                write!(f, "drop it where it leaves via {egress}")?;
                match what {
                    Some(Traffic::NeighbourDiscovery) => f.write_str(", which ends IPv6 there"),
                    _ => Ok(()),
                }
            }
            Remedy::Except { what, to, rule } => write!(
                f,
                "keep {what} out of rule {rule}, since each link with IPv6 has that: a rule before it with action = \"allow\", protocol \
                 = [\"icmpv6\"], destination = [\"{}\"]",
                of_link(*to)
            ),
            Remedy::DeleteRule(rule) => write!(f, "delete {rule}"),
            Remedy::JoinByRoute { groups, interface } => {
                let groups: Vec<String> = groups.iter().map(IpAddr::to_string).collect();
                let groups = match groups.len() {
                    0 => "the group".to_owned(),
                    _ => listed(&groups, "and"),
                };
                write!(
                    f,
                    "give {groups} a route via {interface} before the program joins, and start the program again, if it joins without an \
                     interface"
                )
            }
            Remedy::RouteGroups { is_ipv6 } => write!(
                f,
                "change what the multicast routing daemon forwards (`{}` shows it), or its interfaces",
                look(show_groups(*is_ipv6)),
            ),
            Remedy::RouteAway(to, egress) => {
                write!(f, "give {to} a route via another interface than {egress}")
            }
            Remedy::RouteInVrf { to, vrf, table } => write!(
                f,
                "give {} a route in table {table} of the VRF {vrf}, and end that table with an unreachable default route, so \
                 that nothing falls through to another",
                destination(*to)
            ),
            Remedy::DropForwarded(Dropped { egress, .. }) => write!(
                f,
                "drop it in the forward chain when it would leave via {egress}"
            ),
            Remedy::EndAbove(interface) => write!(
                f,
                "route it otherwise where it is sent, or drop it at the egress hook of {interface} (nft, a table of the family netdev): no \
                 route or forward chain here sees it"
            ),
            Remedy::Restore { link, lost, then } => restored(f, link, lost, then),
            Remedy::EndSubflow(remedy) => f.write_str(&remedy.order(self.enter)),
            Remedy::RemoveRedirect {
                rule: Some(rule), ..
            } => write!(f, "delete the {rule}"),
            Remedy::RemoveRedirect { from, to, .. } => write!(
                f,
                "remove the tc or nft rule on {from} that takes its packets to {to} ({}, {})",
                look(&format!("tc filter show dev {from} egress")),
                look("nft -a list ruleset"),
            ),
            Remedy::KeepOut(remedy) => write!(f, "{remedy}"),
            Remedy::KeepOutUnseen(remedy) => write!(
                f,
                "{remedy}, and accept the finding (pinif accept), which does not end by that: pinif sees what no program \
                 receives before netfilter drops it"
            ),
            Remedy::Enforce { arrived, alerts } => {
                if let Some(rule) = alerts {
                    write!(
                        f,
                        "take action = \"alert\" out of rule {rule}, and "
                    )?;
                }
                write!(
                    f,
                    "enforce the policy (pinif audit --enforce, which --enforce-for 60s tries): pinif drops this on {arrived} before \
                     netfilter and any socket, and whatever else the policy does not allow"
                )
            }
            Remedy::EndAtSender => f.write_str(
                "end it where it is sent, or accept the finding (pinif accept): while the policy is enforced, nothing receives it, and it \
                 is reported",
            ),
            Remedy::EndBypass(interface) => write!(
                f,
                "let the program send without PACKET_QDISC_BYPASS, or take CAP_NET_RAW from it; an nft chain at the netdev \
                 egress hook of {} sees its packets",
                interface.as_deref().unwrap_or("each interface")
            ),
            Remedy::EndXdpSocket => f.write_str(
                "audit the next hop, or take CAP_NET_RAW from the program if it is not to send so",
            ),
            Remedy::Attach => {
                f.write_str("remove what keeps pinif from being attached, as the error says")
            }
            Remedy::KeepAttached => f.write_str(
                "find the program that removes BPF links, filters and qdiscs of others here (an agent of container networking, a \
                 script with tc qdisc del or bpftool), and keep it from pinif's; it has CAP_NET_ADMIN or CAP_BPF",
            ),
            Remedy::Reorder => f.write_str(
                "start pinif after what it is to see, or let it return TC_ACT_UNSPEC; bpftool net and tc filter show the order",
            ),
            Remedy::AuditXdpTargets => f.write_str(
                "audit the next hop, or the interfaces that it redirects to; bpftool net shows the program",
            ),
            Remedy::EndPktgen => f.write_str("end pktgen (rmmod pktgen), or audit the next hop"),
            Remedy::EndNetconsole => {
                f.write_str("send the log by a program (a syslog daemon), or audit the next hop")
            }
            Remedy::Permit => f.write_str(
                "give pinif what it lacks, as the error says; pinif doctor lists what this kernel and these privileges allow",
            ),
            Remedy::AnswerForOwn([first, second]) => write!(
                f,
                "let {first} and {second} answer ARP requests for their own addresses alone, and ask with these alone"
            ),
            Remedy::AuditNextHop => {
                f.write_str("audit the next hop; pinif doctor lists what cannot be seen here")
            }
        }
    }
}

/// What such packets go to: the groups of a link (RFC 4291, 2.7), or one address.
fn of_link(to: IpAddr) -> String {
    match to {
        IpAddr::V6(to) if to.segments()[0] == 0xff02 => "ff02::/16".to_owned(),
        one => one.to_string(),
    }
}

fn address(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| format!(" {address}"))
}
