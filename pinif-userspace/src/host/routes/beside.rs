//! What a route has beside its destination, type of service, next hop, encapsulation, table, metric and source, as `ip route` takes it
//! (ip-route(8)): a route that is changed in one thing keeps the rest.

use std::fmt::Write as _;

use netlink_packet_route::{
    AddressFamily,
    route::{
        RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RoutePreference,
        RouteProtocol, RouteRealm, RouteScope, RouteType,
    },
};

use super::Encapsulation;

/// The words, each after a space; none where there is something that cannot be written so, or that ends by itself.
pub(super) fn beside(message: &RouteMessage) -> Option<String> {
    let RouteHeader {
        source_prefix_length: 0,
        kind: RouteType::Unicast,
        ..
    } = message.header
    else {
        return None;
    };
    let mut words = String::new();
    header(&message.header, has_gateway(message), &mut words)?;
    for attribute in &message.attributes {
        match attribute {
            // Those have words of their own.
            RouteAttribute::Destination(_)
            | RouteAttribute::Oif(_)
            | RouteAttribute::Gateway(_)
            | RouteAttribute::Via(_)
            | RouteAttribute::Priority(_)
            | RouteAttribute::PrefSource(_)
            | RouteAttribute::Table(_) => {}
            RouteAttribute::EncapType(_) | RouteAttribute::Encap(_)
                if Encapsulation::read(&message.attributes).is_none_or(|one| one.is_whole) => {}
            RouteAttribute::CacheInfo(info) if info.expires == 0 => {}
            RouteAttribute::Metrics(metrics) => metrics_of(metrics, &mut words)?,
            RouteAttribute::Realm(RouteRealm {
                source,
                destination,
            }) => match source {
                0 => word(&mut words, "realm", destination)?,
                _ => word(&mut words, "realm", format_args!("{source}/{destination}"))?,
            },
            RouteAttribute::Preference(RoutePreference::Medium) => {}
            RouteAttribute::Preference(RoutePreference::Low) => word(&mut words, "pref", "low")?,
            RouteAttribute::Preference(RoutePreference::High) => word(&mut words, "pref", "high")?,
            _ => return None,
        }
    }
    Some(words)
}

fn has_gateway(message: &RouteMessage) -> bool {
    let is_gateway = |attribute: &RouteAttribute| {
        matches!(
            attribute,
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_)
        )
    };
    message.attributes.iter().any(is_gateway)
}

fn header(header: &RouteHeader, has_gateway: bool, words: &mut String) -> Option<()> {
    match header.protocol {
        // What `ip route` gives a route of which it is not said.
        RouteProtocol::Boot | RouteProtocol::Unspec => {}
        // A router announces it again.
        RouteProtocol::Ra => return None,
        protocol => word(words, "proto", u8::from(protocol))?,
    }
    // What `ip route` takes where it is not said. IPv6 has none.
    let usual = if has_gateway {
        RouteScope::Universe
    } else {
        RouteScope::Link
    };
    if header.address_family == AddressFamily::Inet && header.scope != usual {
        word(words, "scope", u8::from(header.scope))?;
    }
    if header.flags.contains(RouteFlags::Onlink) {
        words.push_str(" onlink");
    }
    Some(())
}

/// The metrics, each by its name, its number in `RTAX_LOCK`, and as the kernel has it: times without a unit are taken as they are.
fn metrics_of(metrics: &[RouteMetric], words: &mut String) -> Option<()> {
    let locked = metrics.iter().find_map(|metric| match metric {
        RouteMetric::Lock(locked) => Some(*locked),
        _ => None,
    });
    for metric in metrics {
        let (name, number, value) = match metric {
            RouteMetric::Lock(_) => continue,
            RouteMetric::Mtu(value) => ("mtu", 2, value),
            RouteMetric::Window(value) => ("window", 3, value),
            RouteMetric::Rtt(value) => ("rtt", 4, value),
            RouteMetric::RttVar(value) => ("rttvar", 5, value),
            RouteMetric::SsThresh(value) => ("ssthresh", 6, value),
            RouteMetric::Cwnd(value) => ("cwnd", 7, value),
            RouteMetric::Advmss(value) => ("advmss", 8, value),
            RouteMetric::Reordering(value) => ("reordering", 9, value),
            RouteMetric::Hoplimit(value) => ("hoplimit", 10, value),
            RouteMetric::InitCwnd(value) => ("initcwnd", 11, value),
            RouteMetric::RtoMin(value) => ("rto_min", 13, value),
            RouteMetric::InitRwnd(value) => ("initrwnd", 14, value),
            RouteMetric::QuickAck(value) => ("quickack", 15, value),
            RouteMetric::FastopenNoCookie(value) => ("fastopen_no_cookie", 17, value),
            // `RTAX_FEATURE_ECN` is the only one that every `ip route` knows.
            RouteMetric::Features(1) => {
                words.push_str(" features ecn");
                continue;
            }
            RouteMetric::CcAlgo(name) if is_plain(name) => {
                let lock = lock(locked, 16);
                word(words, "congctl", format_args!("{lock}{name}"))?;
                continue;
            }
            _ => return None,
        };
        let lock = lock(locked, number);
        word(words, name, format_args!("{lock}{value}"))?;
    }
    Some(())
}

fn lock(locked: Option<u32>, number: u32) -> &'static str {
    let is_locked = locked.is_some_and(|locked| locked & 1 << number != 0);
    if is_locked { "lock " } else { "" }
}

/// Whether a name needs no quotes in a shell.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn word(words: &mut String, name: &str, value: impl std::fmt::Display) -> Option<()> {
    write!(words, " {name} {value}").ok()
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::DefaultNla;
    use netlink_packet_route::route::RouteAddress;

    use super::*;

    fn message(attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.kind = RouteType::Unicast;
        message.header.protocol = RouteProtocol::Boot;
        message.attributes = attributes;
        message
    }

    fn gateway() -> RouteAttribute {
        RouteAttribute::Gateway(RouteAddress::Inet([192, 0, 2, 2].into()))
    }

    #[test]
    fn all_that_a_route_has_is_written() {
        let metrics = vec![
            RouteMetric::Lock(1 << 2),
            RouteMetric::Mtu(1400),
            RouteMetric::InitCwnd(20),
            RouteMetric::Features(1),
            RouteMetric::CcAlgo("cubic".to_owned()),
        ];
        let mut whole = message(vec![
            RouteAttribute::Table(254),
            gateway(),
            RouteAttribute::Metrics(metrics),
            RouteAttribute::Realm(RouteRealm {
                source: 0,
                destination: 5,
            }),
        ]);
        whole.header.protocol = RouteProtocol::Bird;
        whole.header.flags = RouteFlags::Onlink;
        assert_eq!(
            beside(&whole).as_deref(),
            Some(" proto 12 onlink mtu lock 1400 initcwnd 20 features ecn congctl cubic realm 5")
        );
        assert_eq!(beside(&message(vec![gateway()])).as_deref(), Some(""));
        let on_link = message(vec![]);
        assert_eq!(beside(&on_link).as_deref(), Some(" scope 0"));
        let mut ipv6 = message(vec![RouteAttribute::Preference(RoutePreference::High)]);
        ipv6.header.address_family = AddressFamily::Inet6;
        assert_eq!(beside(&ipv6).as_deref(), Some(" pref high"));
    }

    #[test]
    fn what_cannot_be_written_is_not_left_out() {
        for attribute in [
            RouteAttribute::Expires(5),
            RouteAttribute::NhId(7),
            RouteAttribute::Other(DefaultNla::new(99, vec![1])),
            RouteAttribute::Metrics(vec![RouteMetric::Features(2)]),
            RouteAttribute::Metrics(vec![RouteMetric::CcAlgo("a b".to_owned())]),
        ] {
            let text = format!("{attribute:?}");
            assert_eq!(beside(&message(vec![gateway(), attribute])), None, "{text}");
        }
        let mut local = message(vec![]);
        local.header.kind = RouteType::Local;
        assert_eq!(beside(&local), None);
    }
}
