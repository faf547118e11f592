//! The words of a finding, by its kind.

use super::{Remedy, causes};
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
    let names: Vec<&str> = finding.also.iter().map(|kind| kind.name()).collect();
    if !names.is_empty() {
        text.push_str(&format!(" It is {} as well.", listed(&names, "and")));
    }
    if finding.begins_with_join() {
        text.push_str(" The group was not joined (EPERM), so that the kernel reported none there.");
    }
    if finding.dropped && !finding.has_no_packet() {
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
