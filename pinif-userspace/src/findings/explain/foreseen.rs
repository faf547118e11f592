//! The words of what is foreseen.

use super::{Home, Remedy, phrases::process};
use crate::findings::{kinds, latent::Latent};

/// What would happen, and what is wrong with it.
pub fn explanation(latent: &Latent) -> String {
    let who = match process(&latent.finding) {
        Some(process) => format!("{process}'s socket"),
        None => "A socket of no known process".to_owned(),
    };
    let what = format!(
        "{} to {}",
        latent.finding.protocol_name(),
        latent.destination()
    );
    let now = match &latent.now {
        Some(interface) => format!("{what} via {interface} now"),
        None => format!("no {what} now"),
    };
    let egress = latent.finding.egress_interface();
    let why = (kinds::of(latent.finding.kind).foreseen)(latent);
    format!(
        "{who} sends {now}. With {}, it would leave via {egress}{why}.",
        latent.condition
    )
}

/// What keeps it from happening.
pub fn remedy(latent: &Latent) -> Remedy {
    let place = &latent.finding.place;
    let rule = place.rule.as_ref().and_then(|rule| rule.name.clone());
    let egress = || latent.finding.egress_interface().into();
    match (&place.bound_device, &latent.now, rule) {
        (Some(bound), _, Some(rule)) => Remedy::Allow {
            rule,
            egress: egress(),
            bound: bound.clone(),
        },
        (None, Some(now), _) => Remedy::BindToStay(Home::of(now)),
        (_, _, Some(rule)) => Remedy::BindToAllowed(rule),
        _ => Remedy::RouteAway(latent.destination(), egress()),
    }
}
