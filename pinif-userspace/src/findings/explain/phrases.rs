//! Parts of sentences that several kinds have in common, from a finding's facts.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    findings::finding::{Finding, Rule, SentBy},
    text::words::listed,
};

/// The one who sent it, at the head of a sentence. A process's name stays as it is.
pub(in crate::findings) fn sender(finding: &Finding) -> String {
    match (finding.origin, process(finding)) {
        (SentBy::Socket, Some(process)) => format!("{process}'s socket"),
        (SentBy::Socket, None) => "A socket of no known process".to_owned(),
        (SentBy::Kernel, _) => "The kernel's own socket".to_owned(),
        (SentBy::None, _) => "A packet without a socket".to_owned(),
    }
}

/// The name of the process that owns the socket.
pub(in crate::findings) fn process(finding: &Finding) -> Option<&str> {
    let process = finding.process.as_ref();
    process.map(|process| process.comm.as_str())
}

/// What it did at the egress interface.
pub(in crate::findings) const fn left(finding: &Finding) -> &'static str {
    if finding.dropped {
        "would have left via"
    } else {
        "left via"
    }
}

/// The packets: `UDP to 10.0.0.2:9`.
pub(in crate::findings) fn traffic(finding: &Finding) -> String {
    let Some(flow) = &finding.flow else {
        return "traffic".to_owned();
    };
    format!("{} to {}", finding.protocol_name(), flow.destination)
}

/// Where it is from.
pub(in crate::findings) fn source_endpoint(finding: &Finding) -> String {
    match finding.flow {
        Some(flow) => flow.source.to_string(),
        None => "an unknown source".to_owned(),
    }
}

/// The address that it is from.
pub(in crate::findings) fn source_address(finding: &Finding) -> String {
    match finding.flow {
        Some(flow) => flow.source.address.to_string(),
        None => "an unknown source".to_owned(),
    }
}

/// The address that it goes to.
pub(in crate::findings) fn destination_address(finding: &Finding) -> Option<IpAddr> {
    finding.flow.map(|flow| flow.destination.address)
}

/// The rule, at the head of a sentence.
pub(in crate::findings) fn rule_text(finding: &Finding) -> String {
    let rule = finding.place.rule.as_ref();
    match rule.and_then(|rule| rule.name.as_ref()) {
        Some(name) => format!("Rule {name}"),
        None => "A rule".to_owned(),
    }
}

/// What the rule allows.
pub(in crate::findings) fn allowed(finding: &Finding) -> String {
    let rule = finding.place.rule.as_ref();
    rule.map_or_else(|| OTHER_ZONES.to_owned(), allowed_by)
}

const OTHER_ZONES: &str = "other zones";

/// The zones that a rule allows, and the interfaces that are of them now.
pub(in crate::findings) fn allowed_by(rule: &Rule) -> String {
    let word = match rule.only_via[..] {
        [] => return OTHER_ZONES.to_owned(),
        [_] => "zone",
        _ => "zones",
    };
    let zones = listed(&rule.only_via, "or");
    match &rule.interfaces[..] {
        [] => format!("{word} {zones} (which has no interface now)"),
        interfaces => format!("{word} {zones} ({})", listed(interfaces, "or")),
    }
}

/// A network as people write it: of one address, that alone.
pub(in crate::findings) fn shown(network: IpNet) -> String {
    match network.prefix_len() == network.max_prefix_len() {
        true => network.addr().to_string(),
        false => network.to_string(),
    }
}

/// The option by which a program names address and interface of one packet: ip(7), ipv6(7).
pub(in crate::findings) fn packet_info(is_ipv6: bool) -> &'static str {
    if is_ipv6 {
        "IPV6_PKTINFO"
    } else {
        "IP_PKTINFO"
    }
}

/// The options by which a program may have named the interface with what it sends there (`udp_sendmsg`, `udpv6_sendmsg`).
pub(in crate::findings) fn naming(to: IpAddr) -> &'static str {
    match to {
        IpAddr::V4(address) if address.is_multicast() => "IP_MULTICAST_IF or IP_PKTINFO",
        IpAddr::V6(address) if address.is_multicast() => {
            "IPV6_MULTICAST_IF, IPV6_PKTINFO or sin6_scope_id"
        }
        IpAddr::V4(_) => "IP_PKTINFO or IP_UNICAST_IF",
        IpAddr::V6(address) if address.is_unicast_link_local() => "sin6_scope_id",
        IpAddr::V6(_) => "IPV6_PKTINFO or IPV6_UNICAST_IF",
    }
}

/// The options of a list of them, as [`CauseKind::Named`](super::CauseKind::Named) has it: `IP_PKTINFO or IP_UNICAST_IF`.
pub(in crate::findings) fn options(how: &str) -> impl Iterator<Item = &str> {
    how.split([' ', ','])
        .filter(|word| !word.is_empty() && *word != "or")
}
