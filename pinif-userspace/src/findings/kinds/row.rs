//! What is different by kind, and the answers that several kinds have in common.

use std::sync::Arc;

use pinif_ebpf::verdict::{Kind, KindSet};

use crate::findings::{
    decode::Sighted,
    explain::{Cause, Remedy},
    finding::{Finding, Place},
    latent::Latent,
    scene::{LookUp, Scene},
};

/// What is different by kind.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Whether only a bound device fixes it.
    pub demands_device: bool,
    /// Whether it is about the source address.
    pub is_of_source: bool,
    /// What its packets do at their interface: `left via`.
    pub does: &'static str,
    /// What became of its packets, in a word.
    pub fate: &'static str,
    /// Its page, as Markdown.
    pub page: &'static str,
    /// Who sent it, for a headline: `telemetryd (pid 4242), bound to fab0`.
    pub sender: fn(&Finding) -> String,
    /// Whose packets they are, where only the outcome is said: the sender, or `source 10.0.0.1 of fab0`.
    pub what: fn(&Finding) -> String,
    /// What would be wrong, at the end of a sentence that says where it would leave.
    pub foreseen: fn(&Latent) -> String,
    /// Why it happened.
    pub(in crate::findings) causes: fn(&Sighted, &Scene<'_>, &mut LookUp<'_>) -> Vec<Cause>,
    /// Where such traffic belongs, if not where its rule says.
    pub(in crate::findings) home: fn(&Place) -> Option<&Arc<str>>,
    /// What happened, in a sentence.
    pub(in crate::findings) explanation: fn(&Finding) -> String,
    /// What fixes it: each by itself, in the order of who can do it.
    pub(in crate::findings) remedies: fn(&Finding) -> Vec<Remedy>,
}

impl Row {
    /// The interface where the traffic belongs by its kind; nothing where its rule says where: that is broken as well, and allows another,
    /// or it is about an address, which any other interface can have translated.
    pub(in crate::findings) fn own_home<'a>(
        &self,
        place: &'a Place,
        also: KindSet,
    ) -> Option<&'a Arc<str>> {
        let own = (self.home)(place)?;
        let rule = place.rule.as_ref();
        let allows = rule.is_some_and(|rule| rule.interfaces.contains(own));
        let is_its_own = !also.contains(Kind::PolicyEscape) || allows && !self.is_of_source;
        is_its_own.then_some(own)
    }
}

/// Of a kind whose traffic belongs where its rule says.
pub(super) fn by_rule(_: &Place) -> Option<&Arc<str>> {
    None
}

/// Of a kind whose traffic belongs to the bound device.
pub(super) fn bound_device(place: &Place) -> Option<&Arc<str>> {
    place.bound_device.as_ref()
}

/// Of a kind whose traffic belongs to the interface that has the address.
pub(super) fn source_owner(place: &Place) -> Option<&Arc<str>> {
    place.source_owner.as_ref()
}

/// Of a kind that is not foreseen, or of which there is nothing more to say.
pub(super) fn nothing(_: &Latent) -> String {
    String::new()
}
