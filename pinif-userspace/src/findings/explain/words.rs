//! The words of a finding, by its kind.

use pinif_ebpf::verdict::{Direction, Kind};

use super::{Remedy, Step, causes, choice};
use crate::{
    findings::{finding::Finding, kinds, subject},
    text::words::listed,
};

/// Of a finding that was judged by a policy which only an earlier collector knew.
pub(super) const OF_AN_EARLIER_POLICY: &str = " The rule is of a policy that an earlier collector had in force: its name is not known any more.";

/// Why, as far as this machine shows; several causes are joined with `; `.
pub fn cause(finding: &Finding) -> String {
    causes::text(&finding.causes)
}

/// What happened, in a sentence or two, with the other kinds that hold as well.
pub fn explanation(finding: &Finding) -> String {
    let mut text = (kinds::of(finding.kind).explanation)(finding);
    if let Some(also) = also(finding) {
        text.push_str(&format!(" It is {also} as well."));
    }
    if finding.begins_with_join() {
        text.push_str(" The group was not joined (EPERM), so that the kernel reported none there.");
    }
    if finding.dropped && !finding.has_no_packet() {
        text.push_str(match finding.kind.row().direction {
            Direction::Ingress => " It was dropped where it arrived, and nothing received it.",
            Direction::Egress | Direction::Unseen => " It was dropped, and did not leave.",
        });
    }
    let subject = finding.subject.as_deref();
    text.extend(subject.and_then(subject::stands_for));
    let rule = finding.place.rule.as_ref();
    if rule.is_some_and(|rule| rule.name.is_none()) {
        text.push_str(OF_AN_EARLIER_POLICY);
    }
    text
}

/// The other kinds that hold, with the rule that they break; none where there are none.
pub(super) fn also(finding: &Finding) -> Option<String> {
    let named = |kind: Kind| match finding.rule_of(kind) {
        // The rule that its own kind breaks is named already.
        Some(rule) if finding.rule().is_none() => format!("{} (rule {rule})", kind.name()),
        _ => kind.name().to_owned(),
    };
    let names: Vec<String> = finding.also.iter().map(named).collect();
    (!names.is_empty()).then(|| listed(&names, "and"))
}

/// What fixes it: each by itself, in the order of who can do it.
pub fn remedies(finding: &Finding) -> Vec<Remedy> {
    let mut all = (kinds::of(finding.kind).remedies)(finding);
    all.sort_by_key(Remedy::who);
    all
}

/// The same for whoever stands where pinif runs.
pub fn steps(finding: &Finding) -> Vec<Step> {
    let enter = &finding.place.enter;
    let all = remedies(finding);
    let mut steps: Vec<Step> = all.iter().map(|remedy| remedy.step(enter)).collect();
    if let Some(first) = all.iter().position(Remedy::leads_home)
        && let Some((router, interface, state)) = choice::silent_router(finding)
    {
        steps[first].warn(&format!(
            "but the router {router} does not answer on {interface} ({})",
            state.name()
        ));
    }
    steps
}

/// The same as one text.
pub fn remedy(finding: &Finding) -> String {
    let steps = steps(finding);
    let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
    texts.join(", or ")
}
