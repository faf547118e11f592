//! What was learned, with what it is judged with: the networks and routes of the audited namespaces, read beside the audit.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::SystemTime,
};

use axum::http::StatusCode;
use ipnet::IpNet;
use tokio::task::spawn_blocking;

use super::{
    answer::{Answer, Refused, json, problem},
    ask::Collector,
    filter::{LEARNED_PAGE, LearnedFilter},
};
use crate::{
    findings::wall_time::WallTime,
    host::{netns::NetNs, network::Network, routes},
    learned::{LearnedNamespace, LearnedPage, Page},
};

/// A page of what was learned.
///
/// # Errors
///
/// Why there is none.
pub async fn answer(collector: &Collector, filter: &LearnedFilter) -> Result<Answer, Refused> {
    let from = filter.from.unwrap_or_default();
    let limit = filter.limit.unwrap_or(LEARNED_PAGE).min(LEARNED_PAGE) as usize;
    let Some(page) = collector.learned(from, limit).await? else {
        return Err(problem(
            StatusCode::NOT_FOUND,
            "this auditor does not learn what is sent by whom",
            "start it with `pinif audit --learn`",
        )
        .into());
    };
    let namespaces = collector.namespaces().await?;
    let page = spawn_blocking(move || said(page, &namespaces, from == 0)).await;
    match page {
        Ok(page) => Ok(json(&page)),
        Err(error) => Err(problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the networks cannot be read: {error}"),
            "report it: this is a fault of pinif's",
        )
        .into()),
    }
}

fn said(page: Page, namespaces: &[NetNs], is_first: bool) -> LearnedPage {
    let mut traffic = page.traffic;
    let mut routes: BTreeMap<&str, BTreeSet<IpNet>> = BTreeMap::new();
    for netns in namespaces {
        // One that has too many, or is gone, has none: its networks are of the usual length.
        let prefixes = routes::prefixes(netns).unwrap_or_default();
        routes.insert(netns.name.as_str(), prefixes);
    }
    for one in &mut traffic {
        // No route is asked for what goes to a group.
        if one.destination.is_multicast() {
            continue;
        }
        let known = routes.get(one.netns.as_str());
        if let Some(network) = known.and_then(|known| longest(one.destination, known)) {
            one.network = network;
        }
    }
    let network = |netns: &NetNs| {
        let network = Network::read(netns).ok()?;
        Some(LearnedNamespace::of(netns.name.clone(), &network))
    };
    let namespaces = namespaces.iter().filter(|_| is_first);
    LearnedPage {
        time: WallTime::from(SystemTime::now()).to_string(),
        since: WallTime::from(page.since).to_string(),
        not_learned: page.not_learned,
        total: page.total,
        next: page.next,
        namespaces: namespaces.filter_map(network).collect(),
        traffic,
    }
}

/// The longest network that an address is in.
fn longest(address: IpAddr, networks: &BTreeSet<IpNet>) -> Option<IpNet> {
    let host = IpNet::from(address);
    let lengths = (0..=host.max_prefix_len()).rev();
    let mut all = lengths.filter_map(|length| Some(IpNet::new(address, length).ok()?.trunc()));
    all.find(|network| networks.contains(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_network_is_that_of_the_route() {
        let networks = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "fd00::/8"];
        let networks = networks.map(|text| text.parse().expect("a network"));
        let networks = BTreeSet::from(networks);
        let of = |address: &str| {
            let longest = longest(address.parse().expect("an address"), &networks);
            longest.map(|network| network.to_string())
        };
        assert_eq!(of("10.1.2.3").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(of("10.2.2.3").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(of("192.0.2.1").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(of("2001:db8::1"), None);
    }
}
