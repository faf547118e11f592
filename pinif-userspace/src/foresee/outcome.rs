//! What would come of events.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use super::{
    copy::Original, event::Event, judge::Judge, latent::latents, numbered::STAND_INS,
    scratch::Scratch,
};
use crate::{findings::latent::Latent, host::routes::RouteOracle, policy::Policy, survey::Owned};

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

/// Lets each event happen by itself in a copy of a namespace, and gives the namespace's sockets that would then be judged
/// worse than now under a policy. Under the empty policy, sockets that would leave via another interface are included too.
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
    let judge = Judge::new(original, policy, sockets)?;
    let mut scratch = Scratch::of(original);
    let mut foresee = |event: &Event| -> Result<Foreseen> {
        let after = scratch.happen(event)?;
        let mut oracle = RouteOracle::open_copy(&after.copy().netns, STAND_INS)
            .context("routes cannot be asked for")?;
        let foreseen = Foreseen {
            event: event.clone(),
            findings: latents(&judge, event, &after.network, &mut oracle)?,
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
