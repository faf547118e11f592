//! Looks whether all of pinif is where it was attached to, as [`Integrity`](super::integrity::Integrity) asks: here the kernel is
//! asked, here it is attached again, and here it is reported.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use anyhow::Result;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{
    audit::Audit,
    gaps,
    integrity::{Before, Input, Output, Spot},
    key::Key,
    moment::Moment,
    netlink_events::NetlinkEvents,
};
use crate::{
    findings::{
        explain::{Cause, CauseKind},
        gaps::{Gap, GapKey, GapSource},
        removal::Removal,
    },
    host::gaps::sockets,
    hub::Notice,
    kernel::{attach::Looked, direction::TcDirection},
};

/// A place at an interface where the program was attached to, and is not any more.
type Missing = (NetNsCookie, IfIndex, TcDirection);

/// What was removed, and what came of attaching it again.
type Removed = BTreeMap<Spot, Result<(), String>>;

impl Audit {
    /// Looks at all, attaches again what was removed, and reports it. The answer is whether anything was not as before.
    ///
    /// # Errors
    ///
    /// When what the host is like cannot be taken in.
    pub(super) fn check_integrity(&mut self, changes: &mut NetlinkEvents) -> Result<bool> {
        // What happens from here on is reported, and what happened before is found.
        self.await_changes()?;
        // What is gone with its interface was not removed.
        self.drain_events(changes)?;
        let (missing, before, has_packet_socket) = self.look_at_interfaces();
        let mut removed = self.attach_again(missing)?;
        self.look_at_the_rest(&mut removed);
        let outputs = self.integrity.on(
            Input::Checked {
                removed,
                before,
                is_reported: self.unreported().is_empty(),
            },
            Instant::now(),
        );
        let has_changed = !outputs.is_empty();
        let mut all = false;
        for output in outputs {
            match output {
                Output::Hole {
                    spot,
                    times,
                    length,
                    error,
                } => {
                    let interface = spot
                        .interface()
                        .map(|(netns, index)| self.names.interface(netns, index));
                    self.report_removal(
                        spot,
                        Removal {
                            part: spot.part(),
                            interface,
                            times,
                            length,
                            error,
                        },
                    );
                }
                Output::Ahead => all = true,
            }
        }
        self.follow_accepted_programs();
        match self.publisher.follow_names() {
            Ok(new) => {
                for what in new {
                    self.hub.note(Notice::PolicyFollows { what });
                }
            }
            Err(error) => {
                let error = format!("{error:#}");
                self.hub.note(Notice::MapsNotWritten { error });
            }
        }
        // Any packet socket may bypass by now, unless it would have been reported.
        let may_bypass = !self.unheard_bypasses.is_empty() || self.gaps.has_bypassing();
        if all || has_packet_socket && may_bypass {
            let settles = false;
            self.on_gaps(gaps::Input::Now(gaps::Look { all, settles }));
        }
        Ok(has_changed)
    }

    /// Where a program is missing, what comes before pinif, and whether there is a packet socket: where that is unknown, all is looked for
    /// from time to time.
    fn look_at_interfaces(&self) -> (Vec<Missing>, Before, bool) {
        let mut missing = Vec::new();
        let mut all_before = Before::new();
        let mut has_packet_socket = false;
        for (&netns, namespace) in &self.namespaces {
            // One that cannot be entered is looked for, and reported, as others are.
            let looked = namespace.hooks.look(sockets::has_packet_socket);
            let (looked, packet_socket) = looked.unwrap_or_else(|_| (Vec::new(), Ok(false)));
            has_packet_socket |= packet_socket.unwrap_or(false);
            for Looked {
                interface,
                direction,
                is_attached,
                before,
            } in looked
            {
                if !is_attached && namespace.network.links.get(interface).is_some() {
                    missing.push((netns, interface, direction));
                } else if direction == TcDirection::Egress {
                    all_before.insert((netns, interface), before);
                }
            }
        }
        (missing, all_before, has_packet_socket)
    }

    /// Attaches again where a program is missing, and returns what came of it.
    fn attach_again(&mut self, missing: Vec<Missing>) -> Result<Removed> {
        let mut removed = Removed::new();
        for (netns, interface, direction) in missing {
            let Some(namespace) = self.namespaces.get_mut(&netns) else {
                continue;
            };
            let Some(link) = namespace.network.links.get(interface) else {
                continue;
            };
            let again = namespace
                .hooks
                .attach_again(interface, &link.name, direction);
            let again = again.map_err(|error| format!("{error:#}"));
            if let Some(again) = again.transpose() {
                removed.insert(Spot::Interface(netns, interface, direction), again);
            }
            self.between_batches()?;
        }
        Ok(removed)
    }

    fn look_at_the_rest(&mut self, removed: &mut Removed) {
        if let Ok(hooks) = self.hooks.get(&mut self.following.entries)
            && let Some(again) = hooks.attach_again()
        {
            removed.insert(Spot::Hooks, again.map_err(|error| format!("{error:#}")));
        }
        let persist = self.persist.as_ref();
        if let Some(again) = persist.and_then(|persist| persist.pin_again()) {
            removed.insert(Spot::Pins, again.map_err(|error| format!("{error:#}")));
        }
        let entries = &mut self.following.entries;
        for direction in entries.removed().unwrap_or_default() {
            let again = entries.put_again(direction);
            removed.insert(
                Spot::Traffic(direction),
                again.map_err(|error| format!("{error:#}")),
            );
        }
    }

    /// Reports the hooks of the cgroup that the kernel refused, once there is a namespace: in the first one, since they are for all.
    pub(super) fn report_missing_hooks(&mut self) {
        let Some(netns) = self.host_view.order().first().copied() else {
            return;
        };
        let Some(missing) = self.hooks.missing() else {
            return;
        };
        let gap = Gap {
            key: GapKey {
                netns,
                interface: None,
                source: GapSource::MissingHooks,
            },
            cause: CauseKind::MissingHooks {
                hooks: missing.hooks,
                lacks: missing.lacks,
                error: missing.error,
            },
            process: None,
            socket: None,
        };
        self.report_gap(gap, None, false);
    }

    fn report_removal(&mut self, spot: Spot, removal: Removal) {
        // What is for all is reported in the first namespace.
        let first = self.host_view.order().first().copied();
        let (netns, interface) = match spot.interface() {
            Some((netns, index)) => (Some(netns), Some(index)),
            None => (first, None),
        };
        let Some(netns) = netns else {
            return;
        };
        let key = GapKey {
            netns,
            interface,
            source: GapSource::Removed(removal.part),
        };
        let cause = CauseKind::Removed(removal);
        let in_ledger = Key::Gap(key.clone());
        if self.ledger.contains(&in_ledger) {
            let causes: Arc<[Cause]> = self.shared.causes.one(vec![Cause::certain(cause)]);
            self.ledger
                .refine(&in_ledger, |finding| finding.causes = causes);
            // It was found now: whoever asks for what was found of late is to see it.
            self.ledger.grown(&in_ledger, Moment::now());
            return;
        }
        let gap = Gap {
            key,
            cause,
            process: None,
            socket: None,
        };
        self.report_gap(gap, None, false);
    }
}
