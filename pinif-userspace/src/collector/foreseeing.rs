//! What would leak if an interface went down is foreseen beside the audit: a thread copies the network and lets it happen
//! there, while the packets' findings are reported as ever.

use std::time::{Duration, Instant};

use anyhow::Result;
use pinif_ebpf::key::NetNsCookie;

use super::{
    audit::Audit,
    foreseer::{Foreseer, Outcome, Step},
    foresight::Input,
};
use crate::{
    foresee::{
        self, Original,
        closed::{Closed, Distinct},
        seen,
    },
    host::netns::NetNs,
    policy::Policy,
    survey::{self, Owned},
};

/// How long the end waits for what is being foreseen.
const PATIENCE: Duration = Duration::from_secs(2);

impl Audit {
    /// Looks at networks, or publishes what came of it.
    pub(super) fn foresee(&mut self, step: Step) {
        match step {
            Step::Look => {
                let namespaces = self.foresight.look(Instant::now());
                self.begin_to_foresee(&namespaces);
            }
            Step::Report(outcomes) => {
                for outcome in outcomes {
                    self.report_foreseen(outcome);
                }
                self.foresight(Input::Done);
            }
        }
    }

    /// Takes what has happened to what is foreseen.
    pub(super) fn foresight(&mut self, input: Input) {
        let events = self.foresight.on(input, Instant::now());
        self.hub.publish_all(events);
    }

    fn begin_to_foresee(&mut self, namespaces: &[NetNsCookie]) {
        let Some((_, policy)) = self.policies.last_key_value() else {
            return;
        };
        let policy = policy.clone();
        let known = namespaces.iter().filter_map(|netns| {
            let namespace = self.namespaces.get(netns)?;
            let mut netns = namespace.hooks.netns().clone();
            netns.name = self.names.namespace(netns.cookie);
            let seen = self.seen(netns.cookie);
            Some((netns, seen))
        });
        let all: Vec<_> = known.collect();
        let task = tokio::task::spawn_blocking(move || {
            let outcome = |(netns, seen)| Outcome {
                foreseen: every_interface_down(&netns, &policy, seen),
                netns,
            };
            all.into_iter().map(outcome).collect()
        });
        self.foreseer = Foreseer(Some(task));
    }

    /// The sockets that the audit has seen in a namespace.
    fn seen(&self, netns: NetNsCookie) -> Vec<Owned> {
        let of_netns = self.ledger.latest().filter(|(key, _)| key.netns() == netns);
        let mut all = Vec::new();
        for (key, finding) in of_netns.take(seen::MOST) {
            let samples = self.samples(key);
            all.extend(seen::of(finding, key.bound(), samples.as_ref()));
            if all.len() >= seen::MOST {
                break;
            }
        }
        match self.closed(netns) {
            Ok(closed) => all.extend(closed.sockets().into_iter().map(Closed::owned)),
            Err(error) => log::warn!("{error:#}"),
        }
        all
    }

    /// The sockets that were closed in a namespace, one of each sort.
    pub(super) fn closed(&self, netns: NetNsCookie) -> Result<Distinct> {
        let mut closed = Distinct::default();
        self.counters
            .closed(netns, |endpoint, flow| closed.add(endpoint, flow))?;
        Ok(closed)
    }

    fn report_foreseen(&mut self, Outcome { netns, foreseen }: Outcome) {
        if !self.namespaces.contains_key(&netns.cookie) {
            return;
        }
        let outcome = match foreseen {
            Ok(foreseen) => {
                let uncopied = foresee::uncopied(&foreseen);
                let uncopied = uncopied.iter().map(ToString::to_string).collect();
                let latent = foreseen.into_iter().flat_map(|foreseen| foreseen.findings);
                Ok((latent.collect(), uncopied))
            }
            Err(error) => Err(format!("{error:#}")),
        };
        self.foresight(Input::Looked {
            netns: netns.cookie,
            name: netns.name,
            outcome,
        });
    }

    /// Waits for what is under way, for a while.
    pub(super) async fn end_foreseeing(&mut self) {
        let Some(task) = self.foreseer.0.take() else {
            return;
        };
        if let Ok(outcome) = tokio::time::timeout(PATIENCE, task).await {
            self.foresee(Step::Report(outcome.unwrap_or_default()));
        }
    }
}

/// What would come of each interface that is up going down, by itself.
fn every_interface_down(
    netns: &NetNs,
    policy: &Policy,
    seen: Vec<Owned>,
) -> Result<Vec<foresee::Foreseen>> {
    let original = Original::read(netns)?;
    let mut sockets = survey::owned(netns)?;
    sockets.extend(seen::gone(seen, &sockets));
    let events = foresee::every_interface(&original.network);
    foresee::foresee(&original, policy, &sockets, &events)
}
