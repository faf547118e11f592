//! The words of what is foreseen.

use std::sync::Arc;

use super::{Home, Meets, Remedy, Step, choice::held_to, phrases::process, words::also};
use crate::{
    findings::{kinds, latent::Latent},
    text::words::listed,
};

/// What would happen, and what is wrong with it.
pub fn explanation(latent: &Latent) -> String {
    let finding = &latent.finding;
    let who = match process(finding) {
        Some(process) => format!("{process}'s socket"),
        None => "A socket of no known process".to_owned(),
    };
    let what = format!("{} to {}", finding.protocol_name(), latent.destination());
    let now = match &latent.now[..] {
        [] => format!("no {what}"),
        [interface] => format!("{what} via {interface}"),
        // Which one, only the flow shows.
        several => format!("{what} via any of {}", listed(several, "and")),
    };
    let sends = match latent.is_closed {
        true => format!("{who} is closed; one like it would send {now}"),
        false => format!("{who} sends {now} now"),
    };
    let egress = finding.egress_interface();
    let why = (kinds::of(finding.kind).foreseen)(latent);
    let mut text = format!(
        "{sends}. With {}, it would leave via {egress}{why}.",
        latent.condition
    );
    if let Some(also) = also(finding) {
        text.push_str(&format!(" It would be {also} as well."));
    }
    text
}

/// What keeps it from happening: each by itself, in the order of who can do it.
pub fn steps(latent: &Latent) -> Vec<Step> {
    let enter = &latent.finding.place.enter;
    let all = remedies(latent);
    all.iter().map(|remedy| remedy.step(enter)).collect()
}

/// The same as one text.
pub fn remedy(latent: &Latent) -> String {
    let steps = steps(latent);
    let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
    texts.join(", or ")
}

fn remedies(latent: &Latent) -> Vec<Remedy> {
    let finding = &latent.finding;
    let place = &finding.place;
    let rule = finding.rule().map(Arc::from);
    let egress = || finding.egress_interface().into();
    match (&place.bound_device, latent.now.first(), rule) {
        (Some(bound), _, Some(rule)) => vec![Remedy::Allow {
            rule,
            egress: egress(),
            bound: Some(bound.clone()),
        }],
        (None, Some(now), _) => {
            // Of a socket that no process holds, nobody knows what to start.
            let run = finding.process.as_ref();
            let run = run.map(|_| held_to(finding, now.clone(), Meets::Nothing));
            let bind = Remedy::BindToStay(Home::of(now));
            run.into_iter().chain([bind]).collect()
        }
        (_, _, Some(rule)) => vec![Remedy::BindToAllowed(rule)],
        _ => vec![Remedy::RouteAway(latent.destination(), egress())],
    }
}
