//! What would leave elsewhere if something happened to the network: the kernel is its own oracle. A namespace's interfaces,
//! addresses, rules and routes are copied into a scratch namespace, it happens there, and each socket's route is looked up
//! there.

mod copy;
mod judge;
mod route;
mod wire;

use anyhow::{Context as _, Result, bail};

use crate::{
    audit::finding::Finding,
    host::{netns::NetNs, network::Network, routes::RouteOracle},
    sinks::text::visible,
    survey::Owned,
};

pub use copy::Original;
pub use route::RouteSpec;

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

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down(name) => write!(f, "{name} down"),
            Self::RouteAdded(route) => write!(f, "{route} added"),
            Self::RouteRemoved(route) => write!(f, "{route} removed"),
        }
    }
}

/// What would come of an event.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// The event.
    pub event: Event,
    /// The sockets that would leave by another interface.
    pub findings: Vec<Finding>,
    /// What could not be copied, so that the answer may be wrong.
    pub uncopied: Vec<String>,
}

/// Lets an event happen in a copy of a namespace, and tells which of its sockets would then leave by another interface.
///
/// # Errors
///
/// Where no scratch namespace can be made, or an interface's place in it is taken.
pub fn foresee(original: &Original, sockets: &[Owned], event: &Event) -> Result<Foreseen> {
    let copy = original.copy()?;
    match event {
        Event::Down(name) => copy.set_down(&original.network, name)?,
        Event::RouteAdded(route) => copy.route(&original.network, route, true)?,
        Event::RouteRemoved(route) => copy.route(&original.network, route, false)?,
    }
    let network = Network::read(&copy.netns).context("the scratch namespace cannot be read")?;
    let mut now = RouteOracle::open(&original.netns).context("routes cannot be asked for")?;
    let mut then = RouteOracle::open(&copy.netns).context("routes cannot be asked for")?;
    let mut judge = judge::Judge {
        original,
        after: &network,
        now: &mut now,
        then: &mut then,
        event,
    };
    Ok(Foreseen {
        event: event.clone(),
        findings: sockets
            .iter()
            .filter_map(|socket| judge.judge(socket))
            .collect(),
        uncopied: copy.uncopied,
    })
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
/// Where there is none of this name; those that there are, are told.
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
            known.join(", ")
        );
    }
    Ok(Event::Down(name.to_owned()))
}
