//! What cannot be seen: when it is looked for, what of it is reported, and who sends by it. It asks nobody: what happened and
//! what was found comes in, and what is to be done goes out (`detect.rs` does it).

mod message;

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use pinif_ebpf::{
    bypass::{AF_XDP, Bypass},
    intent::Owner,
    key::{IfIndex, NetNsCookie},
    share,
    subject::SubjectKey,
};

pub(super) use self::message::{Audited, Detected, Input, Listed, Look, Looked, Output, Unknown};
use crate::{
    findings::{
        explain::CauseKind,
        gaps::{Gap, GapKey, GapSource},
        samples::{Samples, UnseenSenders},
    },
    host::{
        gaps::{
            Detector,
            sockets::{BypassMethod, State},
        },
        processes,
    },
};

/// How long after a socket was made to bypass it is looked at: the option is set by then, and mostly it is bound.
const SOON: Duration = Duration::from_millis(50);
/// How long until it is looked at once more, and taken to be bound to nothing; and until a new namespace is looked at.
const LATER: Duration = Duration::from_secs(1);
/// How often all is looked for where pinif is awake anyway.
const AWAKE: Duration = Duration::from_secs(10);
/// How often in any case: of what comes before pinif the kernel sends no events.
const ASLEEP: Duration = Duration::from_secs(60);

/// The gaps of an audit.
pub(super) struct Gaps {
    /// Sockets that the hook saw, and that are not settled yet.
    waiting: Vec<Bypass>,
    /// Somebody asked since the last look, so that there may be others.
    asked: bool,
    /// One sends past TC egress, or may, by whichever interface it is bound to next.
    has_bypassing: bool,
    look_at: Option<Instant>,
    /// When those that were bound to nothing at the first look are looked at again.
    settle_at: Option<Instant>,
    /// When all is looked for, since a namespace is new.
    all_at: Option<Instant>,
    checked: Instant,
    /// Found, and not reported yet.
    found: Vec<(Gap, Option<Owner>)>,
    /// Who sends by those that programs make.
    senders: HashMap<GapKey, UnseenSenders>,
    /// How many of these a user has.
    held: HashMap<u32, u64>,
    /// The XDP programs that people know of.
    shown: BTreeSet<(NetNsCookie, IfIndex, u32)>,
}

impl Gaps {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: Vec::new(),
            asked: false,
            has_bypassing: false,
            look_at: None,
            settle_at: None,
            all_at: None,
            checked: now,
            found: Vec::new(),
            senders: HashMap::new(),
            held: HashMap::new(),
            shown: BTreeSet::new(),
        }
    }

    /// Takes what happened. What is to be done comes back, in its order.
    pub(super) fn on(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Bypassing(sockets) if sockets.is_empty() => {}
            Input::Bypassing(sockets) => {
                self.waiting.extend(sockets);
                self.look_at.get_or_insert(now + SOON);
            }
            Input::Asked => {
                self.asked = true;
                self.look_at.get_or_insert(now + SOON);
            }
            Input::Namespace => {
                self.all_at.get_or_insert(now + LATER);
            }
            Input::Found(gap) => self.found.push((*gap, None)),
            Input::Report => return self.report(),
            Input::Due if now < self.due() => {}
            Input::Due => {
                let is_due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
                let all = now >= self.checked + ASLEEP || is_due(self.all_at);
                let settles = is_due(self.settle_at);
                return vec![self.look(Look { all, settles }, now)];
            }
            Input::Awake if now < self.checked + AWAKE => {}
            Input::Awake => {
                let settles = false;
                return vec![self.look(Look { all: true, settles }, now)];
            }
            Input::Now(look) => return vec![self.look(look, now)],
            Input::Looked(looked) => {
                let mut outputs = self.take(looked, now);
                outputs.extend(self.report());
                return outputs;
            }
        }
        Vec::new()
    }

    /// When [`Input::Due`] is to come.
    pub(super) fn due(&self) -> Instant {
        [self.look_at, self.settle_at, self.all_at]
            .into_iter()
            .flatten()
            .fold(self.checked + ASLEEP, Instant::min)
    }

    /// Whether a socket that was listed can come to another interface without being reported: bind(2) is not.
    pub(super) fn has_bypassing(&self) -> bool {
        self.has_bypassing
    }

    /// What is known of who sends by a gap.
    pub(super) fn samples(&self, key: &GapKey) -> Option<Samples> {
        self.senders.get(key).map(UnseenSenders::samples)
    }

    /// Each look is at the sockets too.
    fn look(&mut self, look: Look, now: Instant) -> Output {
        if look.all {
            (self.checked, self.all_at) = (now, None);
        }
        (self.look_at, self.settle_at) = (None, None);
        Output::Look(look)
    }

    fn take(&mut self, looked: Looked, now: Instant) -> Vec<Output> {
        let mut seen = std::mem::take(&mut self.waiting);
        seen.extend(looked.bypassing);
        let listed = looked.sockets.unwrap_or_else(|error| {
            for &netns in looked.audited.keys() {
                self.add_unknown(netns, Detector::Sockets, &error);
            }
            Vec::new()
        });
        self.has_bypassing = listed.iter().any(Listed::may_move);
        let asked = std::mem::take(&mut self.asked);
        let is_seen = |inode| seen.iter().any(|socket| socket.inode == inode);
        // The list does not know every process.
        let owned = |socket: &Bypass| Bypass {
            owner: if socket.owner.is_known() {
                socket.owner
            } else {
                let mut seen = seen.iter();
                let seen = seen.find(|seen| seen.inode == socket.inode);
                seen.map_or(socket.owner, |seen| seen.owner)
            },
            ..*socket
        };
        let mut unsettled = BTreeSet::new();
        for Listed { socket, state } in &listed {
            match state {
                Ok(Some(State {
                    interface: None,
                    bypasses,
                    ..
                })) if !looked.look.settles && (is_seen(socket.inode) || asked && *bypasses) => {
                    unsettled.insert(socket.inode);
                    self.settle_at = Some(now + LATER);
                }
                Ok(Some(state)) if state.bypasses => {
                    self.add_socket(socket, Some(state), &looked.audited);
                }
                Ok(_) => {}
                // What the hook saw is known without; and an AF_XDP socket is listed only if it can send.
                Err(_) if is_seen(socket.inode) || socket.family == AF_XDP => {
                    self.add_socket(&owned(socket), None, &looked.audited);
                }
                Err(error) => {
                    let process = processes::recorded(&socket.owner);
                    let text = format!("packet sockets of {process} cannot be asked: {error}");
                    self.add_unknown(socket.netns, Detector::Sockets, &text);
                }
            }
        }
        let there: BTreeSet<u64> = listed.iter().map(|listed| listed.socket.inode).collect();
        for socket in seen {
            if unsettled.contains(&socket.inode) {
                self.waiting.push(socket);
            } else if !there.contains(&socket.inode) {
                // It is gone already, and what it sent with it.
                self.add_socket(&socket, None, &looked.audited);
            }
        }
        let detected = looked.detected.into_iter();
        detected
            .filter_map(|(netns, detected)| match detected {
                Ok(detected) => self.add_detected(netns, detected, &looked.audited),
                Err(Unknown { what, error }) => {
                    self.add_unknown(netns, what, &error);
                    None
                }
            })
            .collect()
    }

    fn add_socket(&mut self, socket: &Bypass, state: Option<&State>, audited: &Audited) {
        let Some(way) = BypassMethod::of_family(socket.family) else {
            return;
        };
        let interface = match state {
            Some(state) => state.interface,
            None => Some(socket.interface).filter(|index| index.is_some()),
        };
        // An AF_XDP socket that is there and bound to nothing cannot send yet.
        let is_idle = way == BypassMethod::Xdp && state.is_some() && interface.is_none();
        if is_idle || !is_audited(audited, socket.netns, interface) {
            return;
        }
        let cause = match way {
            BypassMethod::QdiscBypass => CauseKind::QdiscBypass,
            BypassMethod::Xdp => CauseKind::Xdp,
        };
        let source = GapSource::Sockets(way, SubjectKey::program(&socket.owner));
        let gap = Gap {
            socket: state.map(|state| state.cookie),
            ..gap(socket.netns, interface, source, cause)
        };
        self.found.push((gap, Some(socket.owner)));
    }

    /// The output, where it is no gap.
    fn add_detected(
        &mut self,
        netns: NetNsCookie,
        detected: Detected,
        audited: &Audited,
    ) -> Option<Output> {
        let (interface, source, cause) = match detected {
            Detected::Ahead(interface, what) => (
                interface,
                GapSource::Ahead(what.clone()),
                CauseKind::Ahead(what),
            ),
            Detected::Pktgen(interface) => (interface, GapSource::Pktgen, CauseKind::Pktgen),
            Detected::Netconsole(interface) => {
                (interface, GapSource::Netconsole, CauseKind::Netconsole)
            }
            Detected::ArpFlux(flux) => (
                flux.interface,
                GapSource::ArpFlux(flux.other),
                CauseKind::ArpFlux(flux),
            ),
            Detected::Xdp(program) => {
                let interface = program.interface;
                let shown = match program.name.as_str() {
                    "" => program.id.to_string(),
                    name => format!("{name} (id {})", program.id),
                };
                if !program.sends {
                    let is_new = is_audited(audited, netns, Some(interface))
                        && self.shown.insert((netns, interface, program.id));
                    return is_new.then_some(Output::SendsBack {
                        netns,
                        interface,
                        program: shown,
                    });
                }
                let cause = CauseKind::XdpProgram(shown);
                (interface, GapSource::XdpProgram(program.id), cause)
            }
        };
        if is_audited(audited, netns, Some(interface)) {
            let gap = gap(netns, Some(interface), source, cause);
            self.found.push((gap, None));
        }
        None
    }

    fn add_unknown(&mut self, netns: NetNsCookie, what: Detector, error: &str) {
        let error = error.to_owned();
        let cause = CauseKind::NotLookedFor { what, error };
        let gap = gap(netns, None, GapSource::Unknown(what), cause);
        self.found.push((gap, None));
    }

    fn report(&mut self) -> Vec<Output> {
        let found = std::mem::take(&mut self.found).into_iter();
        found
            .map(|(mut gap, owner)| {
                let has_grown = self.take_sender(&mut gap, owner.as_ref());
                Output::Gap {
                    gap: Box::new(gap),
                    owner,
                    has_grown,
                }
            })
            .collect()
    }

    /// Takes a sender of a gap that a program makes; whether anything is new. A user who has too many is known by one more.
    fn take_sender(&mut self, gap: &mut Gap, owner: Option<&Owner>) -> bool {
        let GapSource::Sockets(way, subject) = gap.key.source else {
            return false;
        };
        if let Some(uid) = subject.user_of_program()
            && !self.senders.contains_key(&gap.key)
        {
            let held = self.held.entry(uid).or_default();
            if *held >= share::OF_A_USER {
                gap.key.source = GapSource::Sockets(way, SubjectKey::other_programs(uid));
            } else {
                *held += 1;
            }
        }
        let senders = self.senders.entry(gap.key.clone()).or_default();
        senders.add(owner, gap.socket)
    }
}

/// Whether what leaves by an interface, or by any, would be audited if it could be seen.
fn is_audited(audited: &Audited, netns: NetNsCookie, interface: Option<IfIndex>) -> bool {
    let interfaces = audited.get(&netns);
    interfaces.is_some_and(|all| interface.is_none_or(|index| all.contains(&index)))
}

fn gap(netns: NetNsCookie, interface: Option<IfIndex>, source: GapSource, cause: CauseKind) -> Gap {
    Gap {
        key: GapKey {
            netns,
            interface,
            source,
        },
        cause,
        process: None,
        socket: None,
    }
}

#[cfg(test)]
mod tests;
