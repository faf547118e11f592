//! Interfaces are attached to: in both directions, and with all that the maps are to say of them, before anything says that they are audited.

use std::collections::BTreeSet;

use anyhow::Result;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{
    attachments,
    audit::{Audit, Namespace},
    gaps,
    progress::{AT_ONCE, batches},
};
use crate::{
    findings::{
        explain::CauseKind,
        gaps::{Gap, GapKey, GapSource},
    },
    hub::{Hub, Notice, notice::Work},
    kernel::publish::counted_above,
    policy::ingress_policy::watched,
};

/// What came of attaching to some interfaces.
#[derive(Default)]
pub(super) struct Attached {
    /// How many are audited from now on.
    new: usize,
    /// Of those that refused, a sentence each.
    refusals: Vec<String>,
}

impl Attached {
    /// What came of others, too.
    pub(super) fn add(&mut self, others: Self) {
        self.new += others.new;
        self.refusals.extend(others.refusals);
    }

    /// How many are audited from now on.
    pub(super) fn count(&self) -> usize {
        self.new
    }

    /// Why the first that refused did.
    pub(super) fn first_refusal(&self) -> Option<&str> {
        self.refusals.first().map(String::as_str)
    }
}

/// Interfaces of which all is done that there is to do: only [`Audit::audit_some`] makes this, and only this is reported as audited.
struct Audited<'a>(Vec<&'a (IfIndex, String)>);

/// Interfaces that refused, each with the reason.
type Refused<'a> = Vec<(&'a (IfIndex, String), anyhow::Error)>;

impl Audit {
    /// Attaches to those of the interfaces that are wanted, and reports each batch when it is audited; `alone`, where they came without
    /// their namespace.
    pub(super) fn attach(
        &mut self,
        netns: NetNsCookie,
        links: &[(IfIndex, String)],
        alone: bool,
    ) -> Result<Attached> {
        let mut attached = Attached::default();
        let Some(namespace) = self.namespaces.get(&netns) else {
            return Ok(attached);
        };
        let mut wanted: Vec<_> = links
            .iter()
            .filter(|(_, name)| {
                self.interfaces.is_empty() || self.interfaces.iter().any(|glob| glob.is_match(name))
            })
            .filter(|(index, _)| !namespace.hooks.has(*index))
            .cloned()
            .collect();
        if wanted.is_empty() {
            return Ok(attached);
        }
        // What is below them is not counted once more.
        let first = counted_above(netns, &namespace.network);
        wanted.sort_by_key(|(index, _)| !first.contains(index));
        let mut firsts = wanted.partition_point(|(index, _)| first.contains(index));
        let watched = self.watched(netns).into_iter();
        let watched: BTreeSet<IfIndex> = watched.map(|(index, _)| index).collect();
        let mut all_refused = Vec::new();
        let mut rest = wanted.len();
        for some in batches(Work::Attaching, &wanted, &self.hub) {
            rest -= some.len();
            let publishes = firsts > 0 || rest == 0;
            let (audited, refused) = self.audit_some(netns, some, &watched, publishes)?;
            attached.new += audited.0.len();
            self.report_audited(netns, audited, alone);
            all_refused.extend(refused);
            firsts = firsts.saturating_sub(some.len());
            if wanted.len() >= AT_ONCE {
                if firsts == 0 {
                    self.report_early()?;
                }
                self.between_batches()?;
            }
        }
        for ((index, name), error) in all_refused {
            let error = format!("{error:#}");
            attached.refusals.push(format!(
                "{name} cannot be attached, and its traffic is not audited: {error}"
            ));
            self.report_refused(netns, *index, name, error);
        }
        Ok(attached)
    }

    /// Attaches to interfaces: what leaves is seen, what arrives is `watched`, where the policy in force asks for that, and the maps say of
    /// both. Only then they are audited. `publishes`, where the maps say something else now; they do in any case where something is dropped.
    fn audit_some<'a>(
        &mut self,
        netns: NetNsCookie,
        some: &'a [(IfIndex, String)],
        watched: &BTreeSet<IfIndex>,
        publishes: bool,
    ) -> Result<(Audited<'a>, Refused<'a>)> {
        let (mut audited, mut refused) = (Audited(Vec::new()), Vec::new());
        let Some(namespace) = self.namespaces.get_mut(&netns) else {
            return Ok((audited, refused));
        };
        let of_name = |name: &str| some.iter().find(|(_, wanted)| wanted == name);
        namespace.hooks.attach(some, |name, outcome| {
            let Some(interface) = of_name(name) else {
                return;
            };
            match outcome {
                Ok(()) => audited.0.push(interface),
                Err(error) => refused.push((interface, anyhow::Error::from(error))),
            }
        })?;
        let arrivals = some.iter().filter(|(index, _)| watched.contains(index));
        let arrivals: Vec<_> = arrivals.cloned().collect();
        self.watch(netns, &arrivals)?;
        if publishes || self.enforcement.is_on() {
            self.publish(netns);
        }
        Ok((audited, refused))
    }

    /// Reports interfaces that are audited from now on: the only place that says so.
    fn report_audited(&mut self, netns: NetNsCookie, Audited(audited): Audited<'_>, alone: bool) {
        for (index, name) in audited {
            let name = name.clone();
            self.attachment(netns, *index, attachments::Input::Attached { name, alone });
        }
    }

    fn report_refused(&mut self, netns: NetNsCookie, index: IfIndex, name: &str, error: String) {
        let name = name.to_owned();
        self.on_gaps(gaps::Input::Found(Box::new(Gap {
            key: GapKey {
                netns,
                interface: Some(index),
                source: GapSource::NotAttached,
            },
            cause: CauseKind::NotAttached {
                interface: name.clone(),
                error: error.clone(),
            },
            process: None,
            socket: None,
        })));
        self.attachment(netns, index, attachments::Input::Refused { name, error });
    }

    /// Watches what arrives at the interfaces that are audited already, where the policy in force can find something amiss with it, and
    /// there only.
    pub(super) fn watch_arrivals(&mut self, netns: NetNsCookie) -> Result<()> {
        let wanted = self.watched(netns);
        let Some(namespace) = self.namespaces.get(&netns) else {
            return Ok(());
        };
        let unwanted = namespace.hooks.arrivals_watched_but_at(&wanted);
        for some in batches(Work::DetachingIngress, &unwanted, &self.hub) {
            if let Some(namespace) = self.namespaces.get_mut(&netns) {
                namespace.hooks.cease_to_watch_arrivals(some)?;
            }
            self.between_batches()?;
        }
        self.watch_in_batches(netns, &wanted)
    }

    /// Watches what arrives at those of many interfaces that are audited.
    pub(super) fn watch_in_batches(
        &mut self,
        netns: NetNsCookie,
        interfaces: &[(IfIndex, String)],
    ) -> Result<()> {
        for some in batches(Work::AttachingIngress, interfaces, &self.hub) {
            self.watch(netns, some)?;
            self.between_batches()?;
        }
        Ok(())
    }

    /// Where the policy in force can find something amiss with what arrives.
    fn watched(&self, netns: NetNsCookie) -> Vec<(IfIndex, String)> {
        match (self.policies.last_key_value(), self.namespaces.get(&netns)) {
            (Some((_, policy)), Some(namespace)) => watched(&namespace.network, policy),
            _ => Vec::new(),
        }
    }

    /// Watches what arrives at those of the interfaces that are audited.
    fn watch(&mut self, netns: NetNsCookie, interfaces: &[(IfIndex, String)]) -> Result<()> {
        if interfaces.is_empty() {
            return Ok(());
        }
        self.hooks.load_ingress(&mut self.following.entries)?;
        match self.namespaces.get_mut(&netns) {
            Some(namespace) => namespace.watch_arrivals(interfaces, &self.hub),
            None => Ok(()),
        }
    }
}

impl Namespace {
    /// Watches what arrives at these interfaces too.
    fn watch_arrivals(&mut self, interfaces: &[(IfIndex, String)], hub: &Hub) -> Result<()> {
        self.hooks.watch_arrivals(interfaces, |name, outcome| {
            if let Err(error) = outcome {
                hub.note(Notice::ArrivalsNotAudited {
                    interface: name.to_owned(),
                    error: format!("{:#}", anyhow::Error::from(error)),
                });
            }
        })
    }
}
