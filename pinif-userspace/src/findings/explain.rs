//! The words of a finding: why, what happened, and what fixes it. They are made when it is shown, from its facts alone.
//!
//! Names in them are as the system says them; who shows a text escapes it. What differs by kind is in [`super::kinds`].

mod causes;
pub(super) mod choice;
pub mod foreseen;
mod keep_out;
mod remedy;
mod route;

use std::net::IpAddr;

use super::{
    finding::{Finding, Origin},
    kinds, subject,
};

pub use causes::{Cause, CauseKind};
pub use keep_out::KeepOut;
pub use remedy::{Home, NewRoute, Remedy, Then};
pub use route::Route;

/// Of a finding that was judged by a policy which only an earlier collector knew.
const OF_AN_EARLIER_POLICY: &str = " The rule is of a policy that an earlier collector had in force: its name is not known any more.";

/// Why, as far as this machine shows; several causes are joined with `; `.
pub fn cause(finding: &Finding) -> String {
    causes::text(&finding.causes)
}

/// What happened, in a sentence or two, with the other kinds that hold as well.
pub fn explanation(finding: &Finding) -> String {
    let mut text = (kinds::of(finding.kind).explanation)(finding);
    let names: Vec<&str> = finding.also.iter().map(|kind| kind.name()).collect();
    if !names.is_empty() {
        text.push_str(&format!(" It is {} as well.", listed(&names, "and")));
    }
    if finding.dropped {
        text.push_str(" It was dropped, and did not leave.");
    }
    let subject = finding.subject.as_deref();
    text.extend(subject.and_then(subject::stands_for));
    let rule = finding.place.rule.as_ref();
    if rule.is_some_and(|rule| rule.name.is_none()) {
        text.push_str(OF_AN_EARLIER_POLICY);
    }
    text
}

/// What fixes it.
pub fn remedy(finding: &Finding) -> Remedy {
    (kinds::of(finding.kind).remedy)(finding)
}

/// The one who sent it, at the head of a sentence. A process's name stays as it is.
pub(super) fn sender(finding: &Finding) -> String {
    match (finding.origin, process(finding)) {
        (Origin::Socket, Some(process)) => format!("{process}'s socket"),
        (Origin::Socket, None) => "A socket of no known process".to_owned(),
        (Origin::Kernel, _) => "The kernel's own socket".to_owned(),
        (Origin::None, _) => "A packet without a socket".to_owned(),
    }
}

/// The name of the process that owns the socket.
pub(super) fn process(finding: &Finding) -> Option<&str> {
    let process = finding.process.as_ref();
    process.map(|process| process.comm.as_str())
}

/// What it did at the egress interface.
pub(super) const fn left(finding: &Finding) -> &'static str {
    if finding.dropped {
        "would have left via"
    } else {
        "left via"
    }
}

/// The packets: `udp to 10.0.0.2:9`.
pub(super) fn traffic(finding: &Finding) -> String {
    let Some(flow) = &finding.flow else {
        return "traffic".to_owned();
    };
    let name = finding.protocol();
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { "IP protocol " } else { "" };
    format!("{number}{name} to {}", flow.destination)
}

/// Where it is from.
pub(super) fn source_endpoint(finding: &Finding) -> String {
    match finding.flow {
        Some(flow) => flow.source.to_string(),
        None => "an unknown source".to_owned(),
    }
}

/// The address that it is from.
pub(super) fn source_address(finding: &Finding) -> String {
    match finding.flow {
        Some(flow) => flow.source.address.to_string(),
        None => "an unknown source".to_owned(),
    }
}

/// The address that it goes to.
pub(super) fn destination_address(finding: &Finding) -> Option<IpAddr> {
    finding.flow.map(|flow| flow.destination.address)
}

/// The rule, at the head of a sentence.
pub(super) fn rule_text(finding: &Finding) -> String {
    let rule = finding.place.rule.as_ref();
    match rule.and_then(|rule| rule.name.as_ref()) {
        Some(name) => format!("Rule {name}"),
        None => "A rule".to_owned(),
    }
}

/// What the rule allows.
pub(super) fn allowed(finding: &Finding) -> String {
    let Some(rule) = &finding.place.rule else {
        return "other zones".to_owned();
    };
    let word = match rule.only_via[..] {
        [] => return "other zones".to_owned(),
        [_] => "zone",
        _ => "zones",
    };
    let zones = listed(&rule.only_via, "or");
    match &rule.interfaces[..] {
        [] => format!("{word} {zones} (which has no interface now)"),
        interfaces => format!("{word} {zones} ({})", listed(interfaces, "or")),
    }
}

/// Names in a row: `a`, `a or b`, `a, b or c`; of more than four, the first three and how many more.
pub(super) fn listed<T: AsRef<str>>(names: &[T], conjunction: &str) -> String {
    let shown = if names.len() > 4 { 3 } else { names.len() };
    let mut words: Vec<String> = names[..shown]
        .iter()
        .map(|name| name.as_ref().to_owned())
        .collect();
    if shown < names.len() {
        words.push(format!("{} more", names.len() - shown));
    }
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, head)) => format!("{} {conjunction} {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests;
