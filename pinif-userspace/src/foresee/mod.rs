//! What would leave elsewhere if something happened to the network: the kernel is its own oracle. A namespace's interfaces,
//! addresses, rules and routes are copied into a scratch namespace, it happens there, and each socket's route is looked up
//! there. What the whole policy judges worse there than here is a latent leak.

mod ask;
mod copy;
mod judge;
mod latent;
mod numbered;
mod probes;
mod route;
mod scratch;
mod wire;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};

use crate::{
    findings::latent::Latent,
    host::{netns::NetNs, network::Network, numbering::Numbering, routes::RouteOracle},
    policy::Policy,
    survey::Owned,
    text::escape::visible,
};

pub use copy::Original;
pub use route::RouteSpec;

/// How the interfaces of a copy are numbered.
const STAND_INS: Numbering = Numbering::STAND_INS;

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
    /// What would be worse than now, at most one of each socket; all of severity `risk`, for nothing has leaked.
    pub findings: Vec<Latent>,
    /// What could not be copied, so that the answer may be wrong.
    pub uncopied: Vec<String>,
}

/// Lets each event happen in a copy of a namespace, by itself, and tells which of the namespace's sockets would then be
/// judged worse than now under a policy. Under the empty one, which leaves nothing unsaid, those that would leave by another
/// interface are told too.
///
/// # Errors
///
/// Where no scratch namespace can be made, the kernel refuses an interface in it, or an event, or routes cannot be asked for.
pub fn foresee(
    original: &Original,
    policy: &Policy,
    sockets: &[Owned],
    events: &[Event],
) -> Result<Vec<Foreseen>> {
    let judge = judge::Judge::new(original, policy, sockets)?;
    let mut scratch = scratch::Scratch::of(original);
    let mut foresee = |event: &Event| -> Result<Foreseen> {
        let after = scratch.happen(event)?;
        let mut oracle = RouteOracle::open_copy(&after.copy().netns, STAND_INS)
            .context("routes cannot be asked for")?;
        let foreseen = Foreseen {
            event: event.clone(),
            findings: judge.judge(event, &after.network, &mut oracle)?,
            uncopied: after.copy().uncopied.clone(),
        };
        scratch.undo(after);
        Ok(foreseen)
    };
    events.iter().map(&mut foresee).collect()
}

/// What could not be copied, each once.
pub fn uncopied(all: &[Foreseen]) -> Vec<&str> {
    let texts = all.iter().flat_map(|foreseen| &foreseen.uncopied);
    let texts: BTreeSet<_> = texts.map(String::as_str).collect();
    texts.into_iter().collect()
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
            known.join(", ")
        );
    }
    Ok(Event::Down(name.to_owned()))
}
