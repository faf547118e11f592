//! When it is foreseen what would leak if an interface went down, and what of it is reported: after each change of a network,
//! once it has been left alone for a while.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use pinif_ebpf::key::NetNsCookie;

use crate::{
    findings::latent::{Foreseen, Holding, Latent},
    hub::{Event, Notice},
};

/// A network is looked at when it has been left alone for this long,
const SETTLED: Duration = Duration::from_millis(200);
/// or when it has not been for this long.
const AT_LAST: Duration = Duration::from_secs(5);

/// What may happen.
#[derive(Debug)]
pub(super) enum Input {
    /// A namespace's network has changed, or the policy.
    Changed(NetNsCookie),
    /// A namespace is not audited any more.
    Left(NetNsCookie),
    /// A namespace was looked at.
    Looked {
        /// Which.
        netns: NetNsCookie,
        /// Its name.
        name: String,
        /// What would leak in it, and what could not be copied; or why that is not known.
        outcome: Result<(Vec<Latent>, Vec<String>), String>,
    },
    /// All that were to be looked at were.
    Done,
}

/// What was foreseen, and what is to be.
#[derive(Debug)]
pub(super) struct Foresight {
    wanted: bool,
    foreseen: Foreseen,
    /// Those that have changed.
    changed: BTreeMap<NetNsCookie, Changed>,
    /// Some are being looked at: no others are until that is done.
    looks: bool,
    /// Notices that were published, each once.
    published: Vec<Notice>,
}

/// When a network changed.
#[derive(Clone, Copy, Debug)]
struct Changed {
    first: Instant,
    last: Instant,
}

impl Changed {
    /// When it is looked at.
    fn due(self) -> Instant {
        (self.last + SETTLED).min(self.first + AT_LAST)
    }
}

impl Foresight {
    /// Nothing yet; nothing ever, where it is not `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            foreseen: Foreseen::default(),
            changed: BTreeMap::new(),
            looks: false,
            published: Vec::new(),
        }
    }

    /// Takes what has happened.
    pub(super) fn on(&mut self, input: Input, now: Instant) -> Vec<Event> {
        match input {
            Input::Changed(netns) => {
                if self.wanted {
                    let (first, last) = (now, now);
                    let changed = self.changed.entry(netns);
                    changed.or_insert(Changed { first, last }).last = now;
                }
                Vec::new()
            }
            Input::Left(netns) => {
                // What was foreseen of it does not hold any more, and nobody asks for it.
                self.changed.remove(&netns);
                self.foreseen.take(netns, Vec::new());
                Vec::new()
            }
            Input::Looked {
                netns,
                name,
                outcome,
            } => self.looked(netns, &name, outcome),
            Input::Done => {
                self.looks = false;
                Vec::new()
            }
        }
    }

    /// When something is to be looked at.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.changed.values().map(|changed| changed.due()).min();
        due.filter(|_| !self.looks)
    }

    /// The namespaces that are to be looked at now: those that changed at the same time, together. [`Input::Done`] says that
    /// they were.
    pub(super) fn look(&mut self, now: Instant) -> Vec<NetNsCookie> {
        if self.looks {
            return Vec::new();
        }
        let due = self
            .changed
            .iter()
            .filter(|(_, changed)| changed.due() <= now);
        let due: Vec<_> = due.map(|(netns, _)| *netns).collect();
        for netns in &due {
            self.changed.remove(netns);
        }
        self.looks = !due.is_empty();
        due
    }

    /// What was foreseen in all.
    pub(super) fn foreseen(&self) -> &Foreseen {
        &self.foreseen
    }

    /// What holds of it, at most so much; none where nothing is foreseen at all.
    pub(super) fn holding(&self, most: usize) -> Option<Holding> {
        self.wanted.then(|| self.foreseen.holding(most))
    }

    fn looked(
        &mut self,
        netns: NetNsCookie,
        name: &str,
        outcome: Result<(Vec<Latent>, Vec<String>), String>,
    ) -> Vec<Event> {
        let not_foreseen = |error, in_part| Notice::NotForeseen {
            netns: name.to_owned(),
            error,
            in_part,
        };
        let (latent, uncopied) = match outcome {
            Ok(foreseen) => foreseen,
            Err(error) => return self.once(not_foreseen(error, false)).into_iter().collect(),
        };
        let mut events = Vec::new();
        for what in uncopied {
            events.extend(self.once(not_foreseen(what, true)));
        }
        let changes = self.foreseen.take(netns, latent);
        let new = changes.new.into_iter();
        events.extend(new.map(|latent| Event::Foreseen(Arc::new(latent))));
        let gone = changes.gone.into_iter();
        let gone = gone.map(|latent| Notice::ForeseenNoLonger(Arc::new(latent)));
        events.extend(gone.map(|notice| Event::Notice(Arc::new(notice))));
        events
    }

    /// A notice, unless the same was published before.
    fn once(&mut self, notice: Notice) -> Option<Event> {
        if self.published.contains(&notice) {
            return None;
        }
        self.published.push(notice.clone());
        Some(Event::Notice(Arc::new(notice)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::example;

    const CARD: NetNsCookie = NetNsCookie(1);
    const OTHER: NetNsCookie = NetNsCookie(2);

    fn latent() -> Latent {
        Latent {
            finding: example::finding(1),
            condition: "fab0 down".to_owned(),
            is_closed: false,
            now: Vec::new(),
            source: None,
            network: None,
        }
    }

    fn looked(outcome: Result<(Vec<Latent>, Vec<String>), String>) -> Input {
        Input::Looked {
            netns: CARD,
            name: "card".to_owned(),
            outcome,
        }
    }

    fn short(events: Vec<Event>) -> Vec<String> {
        let short = |event| match event {
            Event::Foreseen(latent) => format!("if {}", latent.condition),
            Event::Notice(notice) => match notice.as_ref() {
                Notice::ForeseenNoLonger(latent) => format!("no longer if {}", latent.condition),
                Notice::NotForeseen { error, in_part, .. } => format!("{error} {in_part}"),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        events.into_iter().map(short).collect()
    }

    #[test]
    fn a_network_is_looked_at_once_it_is_left_alone_and_after_a_while_in_any_case() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut foresight = Foresight::new(true);
        assert_eq!(foresight.due(), None);
        foresight.on(Input::Changed(CARD), at(0));
        foresight.on(Input::Changed(CARD), at(150));
        assert_eq!(foresight.due(), Some(at(350)));
        assert!(foresight.look(at(349)).is_empty());
        assert_eq!(foresight.look(at(350)), [CARD]);
        for time in (400..6000).step_by(100) {
            foresight.on(Input::Changed(CARD), at(time));
        }
        assert_eq!(foresight.due(), None, "it is being looked at");
        foresight.on(Input::Done, at(6000));
        assert_eq!(foresight.due(), Some(at(5400)));
    }

    #[test]
    fn those_that_are_due_are_looked_at_together_and_one_that_is_left_is_not() {
        let now = Instant::now();
        let mut foresight = Foresight::new(true);
        foresight.on(Input::Changed(CARD), now);
        foresight.on(Input::Changed(OTHER), now);
        foresight.on(Input::Changed(NetNsCookie(3)), now);
        foresight.on(Input::Left(NetNsCookie(3)), now);
        assert_eq!(foresight.look(now + SETTLED), [CARD, OTHER]);
        let mut unwanted = Foresight::new(false);
        unwanted.on(Input::Changed(CARD), now);
        assert_eq!(unwanted.due(), None);
    }

    #[test]
    fn what_holds_is_reported_once_and_also_that_it_holds_no_longer() {
        let now = Instant::now();
        let mut foresight = Foresight::new(true);
        let holds = || looked(Ok((vec![latent()], vec!["a tunnel".to_owned()])));
        assert_eq!(
            short(foresight.on(holds(), now)),
            ["a tunnel true", "if fab0 down"]
        );
        assert!(foresight.on(holds(), now).is_empty());
        let nothing = looked(Ok((Vec::new(), Vec::new())));
        assert_eq!(
            short(foresight.on(nothing, now)),
            ["no longer if fab0 down"]
        );
        let fails = || looked(Err("no copy".to_owned()));
        assert_eq!(short(foresight.on(fails(), now)), ["no copy false"]);
        assert!(foresight.on(fails(), now).is_empty());
        assert_eq!(foresight.foreseen().reported(), 1);
    }
}
