//! Which findings the policy accepts, and until when. It reads no clock and asks nobody: the time and the programs' files come in.

use std::{
    cell::LazyCell,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use pinif_ebpf::{
    sample::{self, Of},
    subject::{Program, Subject},
};

use super::key::Key;
use crate::{
    findings::{accepted::Accepted, finding::Finding, gaps::GapSource, line, samples::Samples},
    policy::{Accept, Policy},
};

/// Where the packets of a finding went.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    /// There were more than are known.
    more: bool,
    /// None for what is no address.
    addresses: Vec<Option<IpAddr>>,
}

/// As the programs have written them.
impl From<&sample::Samples> for Destinations {
    fn from(samples: &sample::Samples) -> Self {
        let seen = samples.of(Of::Destination);
        Self {
            more: samples.has_more(Of::Destination),
            addresses: seen
                .map(|sample| Some(sample.destination().address.ip()))
                .collect(),
        }
    }
}

/// As a finding that is closed has them.
impl From<&Samples> for Destinations {
    fn from(Samples { destinations, .. }: &Samples) -> Self {
        let seen = destinations.samples.iter();
        Self {
            more: destinations.more,
            addresses: seen.map(|sample| address(&sample.destination)).collect(),
        }
    }
}

/// The address of a destination, which has a port or none.
fn address(destination: &str) -> Option<IpAddr> {
    let with_port = destination.parse::<SocketAddr>().map(|it| it.ip());
    with_port.or_else(|_| destination.parse()).ok()
}

/// What the policy in force accepts.
#[derive(Debug, Default)]
pub(super) struct Acceptance(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    accept: Accept,
    is_over: bool,
    /// What is said of a finding that it names.
    holds: Arc<Accepted>,
    /// The same when it is over.
    over: Arc<Accepted>,
}

impl Acceptance {
    /// Of a policy that comes into force now.
    pub(super) fn of(policy: &Policy, now: SystemTime) -> Self {
        let entry = |accept: &Accept| {
            let accepted = |expired| {
                Arc::new(Accepted {
                    reason: accept.reason.clone(),
                    until: accept.until.to_string(),
                    expired,
                })
            };
            Entry {
                accept: accept.clone(),
                is_over: accept.until.is_over(now),
                holds: accepted(false),
                over: accepted(true),
            }
        };
        Self(policy.accepts.iter().map(entry).collect())
    }

    /// Takes the time. What is over since the last time, and whether anything is other than it was: the clock may be set back.
    pub(super) fn on_time(&mut self, now: SystemTime) -> (Vec<&Accept>, bool) {
        let (mut over, mut is_other) = (Vec::new(), false);
        for entry in &mut self.0 {
            let is_over = entry.accept.until.is_over(now);
            is_other |= is_over != entry.is_over;
            if is_over && !entry.is_over {
                over.push(&entry.accept);
            }
            entry.is_over = is_over;
        }
        (over, is_other)
    }

    /// How long it is until the next is over; nothing, where none is to be.
    pub(super) fn rest(&self, now: SystemTime) -> Option<Duration> {
        let entries = self.0.iter();
        entries
            .filter_map(|entry| entry.accept.until.rest(now))
            .min()
    }

    /// Whether any looks at where packets went: a finding that is accepted may not be so any more with its next packet.
    pub(super) fn looks_at_destinations(&self) -> bool {
        let mut entries = self.0.iter();
        entries.any(|entry| !entry.is_over && !entry.accept.destinations.is_empty())
    }

    /// The programs that it names.
    pub(super) fn executables(&self) -> impl Iterator<Item = &PathBuf> {
        let entries = self.0.iter();
        entries.flat_map(|entry| &entry.accept.executables)
    }

    /// What is said of a finding; nothing, where nothing names it. `is_file` is whether a program's file has, or had, a path.
    pub(super) fn judge(
        &self,
        key: &Key,
        finding: &Finding,
        is_file: impl Fn(&Path, &Program) -> bool,
        destinations: impl FnOnce() -> Destinations,
    ) -> Option<Arc<Accepted>> {
        if self.0.is_empty() {
            return None;
        }
        let subject = subject(key);
        let destinations = LazyCell::new(destinations);
        let mut over = None;
        for entry in &self.0 {
            let accept = &entry.accept;
            if !names(accept, finding, subject.as_ref(), &is_file) {
                continue;
            }
            if !accept.destinations.is_empty() && !went_to(accept, finding, &destinations) {
                continue;
            }
            if !entry.is_over {
                return Some(Arc::clone(&entry.holds));
            }
            over.get_or_insert(&entry.over);
        }
        over.cloned()
    }
}

/// Who a finding is about, as the kernel has it.
fn subject(key: &Key) -> Option<Subject> {
    match key {
        Key::Counted(key) => key.subject.decode(),
        Key::Gap(gap) => match &gap.source {
            GapSource::Sockets(_, subject) => subject.decode(),
            _ => None,
        },
    }
}

/// Whether it names a finding, wherever its packets went.
fn names(
    accept: &Accept,
    finding: &Finding,
    subject: Option<&Subject>,
    is_file: &impl Fn(&Path, &Program) -> bool,
) -> bool {
    let program = match subject {
        Some(Subject::Program(program)) => Some(program),
        _ => None,
    };
    let user = match subject {
        Some(Subject::Program(program)) => Some(program.uid),
        Some(Subject::OtherPrograms { uid }) => Some(*uid),
        _ => None,
    };
    let interface = finding.place.interface.as_deref();
    let is_about = || {
        let subject = finding.subject.as_deref().map(line::Subject::from);
        let text = subject.and_then(|subject| subject.accepted_as());
        text.is_some_and(|text| accept.subjects.contains(&text))
    };
    let is = |listed: bool, is_one: bool| !listed || is_one;
    is(
        !accept.kinds.is_empty(),
        accept.kinds.contains(&finding.kind),
    ) && is(
        !accept.rules.is_empty(),
        finding
            .rule()
            .is_some_and(|rule| accept.rules.iter().any(|name| name == rule)),
    ) && is(
        !accept.executables.is_empty(),
        program.is_some_and(|program| {
            let mut paths = accept.executables.iter();
            paths.any(|path| is_file(path, program))
        }),
    ) && is(
        !accept.users.is_empty(),
        user.is_some_and(|user| accept.users.contains(&user)),
    ) && (accept.subjects.is_empty() || is_about())
        && is(
            !accept.interfaces.is_empty(),
            interface.is_some_and(|name| accept.interfaces.iter().any(|one| one.matches(name))),
        )
}

/// Whether every packet of a finding went to one of the accepted destinations. Of more than are known, that is not known.
fn went_to(accept: &Accept, finding: &Finding, destinations: &Destinations) -> bool {
    let first = finding.flow.map(|flow| Some(flow.destination.address));
    let is_in = |address: &Option<IpAddr>| {
        let mut nets = accept.destinations.iter();
        address.is_some_and(|address| nets.any(|net| net.contains(&address)))
    };
    !destinations.more
        && first.as_ref().is_some_and(is_in)
        && destinations.addresses.iter().all(is_in)
}

#[cfg(test)]
mod tests;
