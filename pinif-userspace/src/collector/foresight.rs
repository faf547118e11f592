//! What would leak if an interface went down is foreseen whenever a network has changed, beside the audit: a thread copies
//! the network and lets it happen there, while the packets' findings are told as ever.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use pinif_ebpf::key::NetNsCookie;
use tokio::task::JoinHandle;

use super::{logged::Logged, run::Audit};
use crate::{
    findings::latent::{Foreseen, Latent},
    foresee::{self, Original},
    host::netns::NetNs,
    hub::{Event, Notice},
    policy::Policy,
    survey,
};

/// A network is looked at when it has been left alone for this long,
const SETTLED: Duration = Duration::from_millis(200);
/// or when it has not been for this long.
const AT_LAST: Duration = Duration::from_secs(5);
/// How long the end waits for what is being foreseen.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was foreseen, and what is to be.
pub(super) struct Foreseeing {
    wanted: bool,
    book: Foreseen,
    /// Those that have changed.
    changed: BTreeMap<NetNsCookie, Changed>,
    under_way: Option<JoinHandle<Vec<Outcome>>>,
    logged: Logged,
}

/// When a network changed.
struct Changed {
    first: Instant,
    last: Instant,
}

impl Changed {
    /// When it is looked at.
    fn due(&self) -> Instant {
        (self.last + SETTLED).min(self.first + AT_LAST)
    }
}

/// What came of one namespace.
pub(super) struct Outcome {
    netns: NetNs,
    foreseen: Result<Vec<foresee::Foreseen>>,
}

/// What is to be done.
pub(super) enum Step {
    /// Some networks are to be looked at.
    Look(Vec<NetNsCookie>),
    /// This is how it is.
    Report(Vec<Outcome>),
}

impl Foreseeing {
    /// Nothing yet; nothing ever, where it is not `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            book: Foreseen::default(),
            changed: BTreeMap::new(),
            under_way: None,
            logged: Logged::default(),
        }
    }

    /// That a namespace's network has changed, or the policy.
    pub(super) fn changed(&mut self, netns: NetNsCookie) {
        if self.wanted {
            let now = Instant::now();
            let changed = Changed {
                first: now,
                last: now,
            };
            self.changed.entry(netns).or_insert(changed).last = now;
        }
    }

    /// What was foreseen in all.
    pub(super) fn book(&self) -> &Foreseen {
        &self.book
    }

    /// When something is to be looked at.
    fn due(&self) -> Option<Instant> {
        self.changed.values().map(Changed::due).min()
    }

    /// The next step. It may be dropped at any time without losing one.
    pub(super) async fn next(&mut self) -> Step {
        if let Some(task) = &mut self.under_way {
            let outcome = task.await;
            self.under_way = None;
            // It ends early only with the runtime, or by a panic, which was told.
            return Step::Report(outcome.unwrap_or_default());
        }
        match self.due() {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
        // What changes at the same time is looked at together.
        let settled = Instant::now();
        let changed = self.changed.iter();
        let due = changed.filter(|(_, changed)| changed.due() <= settled);
        let due: Vec<_> = due.map(|(netns, _)| *netns).collect();
        for netns in &due {
            self.changed.remove(netns);
        }
        Step::Look(due)
    }
}

impl Audit {
    /// Looks at networks, or tells what came of it.
    pub(super) fn foresee(&mut self, step: Step) {
        match step {
            Step::Look(namespaces) => self.begin_to_foresee(&namespaces),
            Step::Report(outcomes) => {
                for outcome in outcomes {
                    self.report_foreseen(outcome);
                }
            }
        }
    }

    fn begin_to_foresee(&mut self, namespaces: &[NetNsCookie]) {
        let Some((_, policy)) = self.policies.last_key_value() else {
            return;
        };
        let policy = policy.clone();
        let known = namespaces.iter().filter_map(|netns| {
            let namespace = self.namespaces.get(netns)?;
            let mut netns = namespace.hooks.netns().clone();
            netns.name = self.following.name(netns.cookie);
            Some(netns)
        });
        let all: Vec<NetNs> = known.collect();
        let task = tokio::task::spawn_blocking(move || {
            let outcome = |netns: NetNs| Outcome {
                foreseen: every_interface_down(&netns, &policy),
                netns,
            };
            all.into_iter().map(outcome).collect()
        });
        self.foreseeing.under_way = Some(task);
    }

    fn report_foreseen(&mut self, outcome: Outcome) {
        let Outcome { netns, foreseen } = outcome;
        if !self.namespaces.contains_key(&netns.cookie) {
            return;
        }
        let foreseen = match foreseen {
            Ok(foreseen) => foreseen,
            Err(error) => {
                let notice = Notice::NotForeseen {
                    netns: netns.name,
                    error: format!("{error:#}"),
                    in_part: false,
                };
                self.foreseeing.logged.once(notice, &self.hub);
                return;
            }
        };
        for what in foresee::uncopied(&foreseen) {
            let notice = Notice::NotForeseen {
                netns: netns.name.clone(),
                error: what.to_string(),
                in_part: true,
            };
            self.foreseeing.logged.once(notice, &self.hub);
        }
        let latent = foreseen.into_iter().flat_map(|foreseen| {
            let condition = foreseen.event.to_string();
            foreseen.findings.into_iter().map(move |finding| Latent {
                finding,
                condition: condition.clone(),
            })
        });
        let news = self.foreseeing.book.take(netns.cookie, latent.collect());
        for latent in news.new {
            self.hub.publish(Event::Foreseen(Arc::new(latent)));
        }
        for latent in news.gone {
            self.hub.note(Notice::ForeseenNoLonger(Arc::new(latent)));
        }
    }

    /// What is foreseen of a namespace that is left holds no more.
    pub(super) fn forget_foreseen(&mut self, netns: NetNsCookie) {
        self.foreseeing.changed.remove(&netns);
        self.foreseeing.book.take(netns, Vec::new());
    }

    /// Waits for what is under way, for a while.
    pub(super) async fn end_foreseeing(&mut self) {
        let Some(task) = self.foreseeing.under_way.take() else {
            return;
        };
        if let Ok(outcome) = tokio::time::timeout(PATIENCE, task).await {
            self.foresee(Step::Report(outcome.unwrap_or_default()));
        }
    }
}

/// What would come of each interface that is up going down, by itself.
fn every_interface_down(netns: &NetNs, policy: &Policy) -> Result<Vec<foresee::Foreseen>> {
    let original = Original::read(netns)?;
    let sockets = survey::owned(netns)?;
    let events = foresee::every_interface(&original.network);
    foresee::foresee(&original, policy, &sockets, &events)
}
