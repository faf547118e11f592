//! What a previous instance has left is taken over: which of its interfaces are still the same, and which findings it has archived.
//! It reads nothing from the kernel; `persistence.rs` does, and does what comes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use pinif_ebpf::key::{IfIndex, NetNsCookie};

use crate::{
    hub::{Event, Notice},
    kernel::persist::ArchivedFinding,
};

/// What was read of a previous instance.
#[derive(Debug)]
pub(super) struct Previous {
    /// How long ago the first instance began.
    pub(super) age: Duration,
    /// The namespaces that it audited.
    pub(super) namespaces: BTreeSet<NetNsCookie>,
    /// The interfaces for which something was counted.
    pub(super) counted: BTreeSet<(NetNsCookie, IfIndex)>,
    /// How many findings have a counter.
    pub(super) findings: usize,
    /// The findings that it has archived.
    pub(super) archived: Vec<ArchivedFinding>,
}

/// What may happen.
#[derive(Debug)]
pub(super) enum Input {
    /// A namespace is about to be audited.
    Namespace {
        netns: NetNsCookie,
        /// Its interfaces.
        present: BTreeSet<IfIndex>,
        /// Those that the names say are there.
        known: Vec<IfIndex>,
        /// Those of `present` at which the previous instance's program still is.
        adopted: BTreeSet<IfIndex>,
    },
    /// All of a namespace is attached: these interfaces are audited.
    Attached {
        netns: NetNsCookie,
        interfaces: Vec<(IfIndex, String)>,
    },
    /// All namespaces of the beginning are attached; those that are missing are gone.
    Ready,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub(super) enum Output {
    /// The interface is gone: another that has its index is not the same.
    Gone(NetNsCookie, IfIndex),
    /// An archived finding is to be reported.
    Archived(Box<ArchivedFinding>),
    /// The findings that have a counter are to be reported.
    ReadFindings,
    /// To be published.
    Event(Event),
}

/// What a previous instance has left that is not recognized yet; nothing where there was none.
#[derive(Debug, Default)]
pub(super) struct Takeover {
    /// When the first instance began, where there was one.
    began: Option<Instant>,
    /// The namespaces that a previous instance audited and this one does not yet.
    awaited: BTreeSet<NetNsCookie>,
    counted: BTreeSet<(NetNsCookie, IfIndex)>,
    findings: usize,
    /// Not reported yet.
    archived: Vec<ArchivedFinding>,
    /// Of namespaces that are being attached to, the interfaces that no instance has audited so far.
    unaudited: BTreeMap<NetNsCookie, BTreeSet<IfIndex>>,
}

impl Takeover {
    /// Begins with what was read of a previous instance.
    pub(super) fn new(previous: Option<Previous>, now: Instant) -> Self {
        let Some(previous) = previous else {
            return Self::default();
        };
        Self {
            began: Some(now.checked_sub(previous.age).unwrap_or(now)),
            awaited: previous.namespaces,
            counted: previous.counted,
            findings: previous.findings + previous.archived.len(),
            archived: previous.archived,
            unaudited: BTreeMap::new(),
        }
    }

    /// Takes what has happened.
    pub(super) fn on(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Namespace {
                netns,
                present,
                known,
                adopted,
            } => {
                let mut outputs = self.recognize(netns, &present, known, &adopted);
                outputs.extend(self.report(|of| of == netns));
                outputs
            }
            Input::Attached { netns, interfaces } => {
                let unaudited = self.unaudited.remove(&netns).unwrap_or_default();
                let late = interfaces.into_iter();
                let late = late.filter(|(index, _)| unaudited.contains(index));
                let names: Vec<String> = late.map(|(_, name)| name).collect();
                let notice = (!names.is_empty()).then_some(Notice::InterfacesCameLate { names });
                notice.into_iter().map(event).collect()
            }
            Input::Ready => {
                self.awaited.clear();
                let mut outputs: Vec<_> = self.report(|_| true).collect();
                if let Some(began) = self.began {
                    outputs.push(Output::ReadFindings);
                    outputs.push(event(Notice::TookOver {
                        age: now.saturating_duration_since(began),
                        findings: self.findings,
                    }));
                }
                outputs
            }
        }
    }

    /// Whether a namespace is to be recognized yet: what was found in it is reported then.
    pub(super) fn awaits(&self, netns: NetNsCookie) -> bool {
        self.awaited.contains(&netns)
    }

    /// When the first instance began: now, where this is the first.
    pub(super) fn began(&self, now: Instant) -> Instant {
        self.began.unwrap_or(now)
    }

    /// Which of a namespace's interfaces are those that a previous instance knew: those that are there and have its program, or for
    /// which nothing was counted, so that it does not matter.
    fn recognize(
        &mut self,
        netns: NetNsCookie,
        present: &BTreeSet<IfIndex>,
        known: Vec<IfIndex>,
        adopted: &BTreeSet<IfIndex>,
    ) -> Vec<Output> {
        // Of an attempt that failed.
        self.unaudited.remove(&netns);
        if !self.awaited.remove(&netns) {
            return Vec::new();
        }
        let unaudited = present.difference(adopted).copied().collect();
        self.unaudited.insert(netns, unaudited);
        let is_another =
            |index: &IfIndex| !adopted.contains(index) && self.counted.contains(&(netns, *index));
        let gone = known.into_iter();
        gone.filter(|index| is_another(index) || !present.contains(index))
            .map(|index| Output::Gone(netns, index))
            .collect()
    }

    fn report(&mut self, is_wanted: impl Fn(NetNsCookie) -> bool) -> impl Iterator<Item = Output> {
        let (reported, rest): (Vec<_>, _) = std::mem::take(&mut self.archived)
            .into_iter()
            .partition(|archived| is_wanted(archived.key.netns));
        self.archived = rest;
        let reported = reported.into_iter().map(Box::new);
        reported.map(Output::Archived)
    }
}

fn event(notice: Notice) -> Output {
    Output::Event(Event::Notice(Arc::new(notice)))
}

#[cfg(test)]
mod tests;
