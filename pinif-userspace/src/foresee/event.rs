//! What may happen to a namespace's network.

use std::fmt;

use anyhow::{Result, bail};

use super::route::RouteSpec;
use crate::{
    host::{netns::NetNs, network::Network},
    text::{escape::visible, words::those_there},
};

/// Something that may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interface is set down (`ip link set NAME down`).
    Down(String),
    /// A route is added.
    RouteAdded(RouteSpec),
    /// A route is removed.
    RouteRemoved(RouteSpec),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(name) => write!(f, "{name} down"),
            Self::RouteAdded(route) => write!(f, "{route} added"),
            Self::RouteRemoved(route) => write!(f, "{route} removed"),
        }
    }
}

/// The events that are foreseen where none is named: each interface that is up goes down, but for loopback.
pub fn every_interface(network: &Network) -> Vec<Event> {
    let up = network
        .links
        .iter()
        .filter(|link| link.up && !link.loopback);
    up.map(|link| Event::Down(link.name.clone())).collect()
}

/// The event of an interface that there is.
///
/// # Errors
///
/// Where there is none of this name; the error names those that there are.
pub fn down(network: &Network, netns: &NetNs, name: &str) -> Result<Event> {
    if network.links.by_name(name).is_none() {
        let mut known: Vec<_> = network
            .links
            .iter()
            .map(|link| visible(&link.name))
            .collect();
        known.sort_unstable();
        bail!(
            "there is no interface {} in the network namespace {}; those that there are: {}",
            visible(name),
            visible(&netns.name),
            those_there(&known)
        );
    }
    Ok(Event::Down(name.to_owned()))
}
