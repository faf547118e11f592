//! What cannot be seen is looked for: when a socket is made one that bypasses, when something else wakes pinif, once a
//! minute, and before the end.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant, SystemTime},
};

use pinif_ebpf::{
    bypass::Bypass,
    key::{IfIndex, NetNsCookie},
    share,
    subject::SubjectKey,
};

use super::{audit::Audit, ledger::Key, logged::Logged};
use crate::{
    findings::{
        enrich,
        explain::CauseKind,
        gaps::{self, By, Gap, GapKey},
        samples::{Samples, UnseenSenders},
    },
    host::{
        gaps::{
            netconsole, pktgen,
            sockets::{self, State, Way},
            xdp,
        },
        netns::HOST,
    },
    hub::{Change, Notice},
    kernel::{attach::CgroupHooks, ring::Ring},
};

/// How long after a socket was made to bypass it is looked at: the option is set by then, and mostly it is bound.
const SOON: Duration = Duration::from_millis(50);
/// How long until it is looked at once more, and taken to be bound to nothing.
const LATER: Duration = Duration::from_secs(1);
/// How often all is looked for where pinif is awake anyway.
const AWAKE: Duration = Duration::from_secs(10);
/// How often in any case: of what stands before pinif the kernel has no news.
const ASLEEP: Duration = Duration::from_secs(60);

/// What it takes to find gaps.
pub(super) struct Gaps {
    pub(super) news: Ring<Bypass>,
    /// Sockets that were told of, and are not settled yet.
    told: Vec<Bypass>,
    look_at: Option<Instant>,
    /// When those that were bound to nothing at the first look are looked at again.
    settle_at: Option<Instant>,
    /// When all is looked for, since a namespace is new.
    all_at: Option<Instant>,
    checked: Instant,
    /// Found, and to be told once the audit is ready.
    found: Vec<Gap>,
    /// Who sends by those that programs make.
    senders: HashMap<GapKey, UnseenSenders>,
    /// How many of these a user has.
    held: HashMap<u32, u64>,
    logged: Logged,
}

impl Gaps {
    pub(super) fn new(news: Ring<Bypass>) -> Self {
        Self {
            news,
            told: Vec::new(),
            look_at: None,
            settle_at: None,
            all_at: None,
            checked: Instant::now(),
            found: Vec::new(),
            senders: HashMap::new(),
            held: HashMap::new(),
            logged: Logged::default(),
        }
    }

    /// Takes a gap, to be told with the others.
    pub(super) fn add(&mut self, gap: Gap) {
        self.found.push(gap);
    }

    /// What is known of who sends by a gap.
    pub(super) fn samples(&self, key: &GapKey) -> Option<Samples> {
        self.senders.get(key).map(UnseenSenders::samples)
    }

    /// Takes a sender of a gap that a program makes; whether anything is new. A user who has too many is known by one more.
    fn take_sender(&mut self, gap: &mut Gap) -> bool {
        let By::Sockets(way, subject) = gap.key.by else {
            return false;
        };
        if let Some(uid) = subject.user_of_program()
            && !self.senders.contains_key(&gap.key)
        {
            let held = self.held.entry(uid).or_default();
            if *held >= share::OF_A_USER {
                gap.key.by = By::Sockets(way, SubjectKey::other_programs(uid));
            } else {
                *held += 1;
            }
        }
        let senders = self.senders.entry(gap.key.clone()).or_default();
        senders.add(gap.process.as_ref().map(|process| process.pid), gap.socket)
    }

    /// When to look next.
    pub(super) fn due(&self) -> Instant {
        let asleep = self.checked + ASLEEP;
        [self.look_at, self.settle_at, self.all_at]
            .into_iter()
            .flatten()
            .fold(asleep, Instant::min)
    }

    /// Has all be looked for soon: of many namespaces that come at once, together.
    pub(super) fn look_for_all_soon(&mut self) {
        self.all_at.get_or_insert(Instant::now() + LATER);
    }

    fn is_due(&self, at: Option<Instant>) -> bool {
        at.is_some_and(|at| Instant::now() >= at)
    }

    /// Whether it is time to look for all, now that pinif is awake.
    pub(super) fn is_due_awake(&self) -> bool {
        self.checked.elapsed() >= AWAKE
    }
}

impl Audit {
    /// Learns of sockets that are about to bypass.
    pub(super) fn bypassing(&mut self, sockets: &[Bypass]) {
        let here = |socket: &&Bypass| self.namespaces.contains_key(&socket.netns);
        let before = self.gaps.told.len();
        self.gaps.told.extend(sockets.iter().filter(here));
        if self.gaps.told.len() > before {
            self.gaps.look_at.get_or_insert(Instant::now() + SOON);
        }
    }

    /// Looks for what is due.
    pub(super) fn look_for_gaps(&mut self) {
        let settles = self.gaps.is_due(self.gaps.settle_at);
        if self.gaps.is_due(Some(self.gaps.checked + ASLEEP)) || self.gaps.is_due(self.gaps.all_at)
        {
            return self.look_for_all_gaps(settles);
        }
        self.look_at_sockets(settles);
        self.tell_gaps();
    }

    /// Looks for all gaps that there are; `settles` what waits to be bound.
    pub(super) fn look_for_all_gaps(&mut self, settles: bool) {
        (self.gaps.checked, self.gaps.all_at) = (Instant::now(), None);
        self.look_at_sockets(settles);
        let namespaces: Vec<NetNsCookie> = self.namespaces.keys().copied().collect();
        for netns in namespaces {
            self.look_ahead(netns);
            self.look_at_xdp(netns);
            self.look_at_generators(netns);
        }
        self.tell_gaps();
    }

    /// Tells of the gaps that were found and not told yet.
    pub(super) fn tell_gaps(&mut self) {
        for mut gap in std::mem::take(&mut self.gaps.found) {
            let has_grown = self.gaps.take_sender(&mut gap);
            let key = Key::Gap(gap.key.clone());
            if self.ledger.contains(&key) {
                if has_grown {
                    self.ledger.grown(&key);
                }
                continue;
            }
            let GapKey {
                netns, interface, ..
            } = gap.key;
            let predecessors = interface.map(|index| self.names.predecessors(netns, index));
            let id = gap.key.finding_id(predecessors.unwrap_or_default());
            let name = match &gap.key.by {
                By::Namespace(name) => name.clone(),
                _ => self.following.name(netns),
            };
            let interface = interface.map(|index| self.names.of(netns, index));
            let finding = gaps::finding(
                gap,
                id,
                name,
                interface,
                SystemTime::now(),
                &mut self.shared,
            );
            let now = self.started.elapsed();
            if let Some(finding) = self.ledger.sighted(key.clone(), finding, now) {
                self.show(Some(&key), finding, Change::Opened);
            }
        }
    }

    /// Looks at the sockets that bypass. `settles` those that are bound to nothing as well: they name an interface with
    /// each packet.
    fn look_at_sockets(&mut self, settles: bool) {
        let mut told = std::mem::take(&mut self.gaps.told);
        self.gaps.news.drain(|socket| told.push(socket));
        (self.gaps.look_at, self.gaps.settle_at) = (None, None);
        let listed = self.list_sockets();
        let is_told = |inode| told.iter().any(|socket: &Bypass| socket.inode == inode);
        let mut unsettled = BTreeSet::new();
        for socket in &listed {
            match sockets::state(socket) {
                Ok(Some(State {
                    interface: None, ..
                })) if is_told(socket.inode) && !settles => {
                    unsettled.insert(socket.inode);
                }
                Ok(Some(state)) if state.bypasses => self.add_socket(socket, Some(state)),
                Ok(_) => {}
                // What the hook told of is known without.
                Err(_) if is_told(socket.inode) => self.add_socket(socket, None),
                Err(error) => {
                    let pid = socket.owner.pid;
                    let error = error.to_string();
                    let notice = Notice::PacketSocketsNotExamined { pid, error };
                    self.gaps.logged.once(notice, &self.hub);
                }
            }
        }
        let there: BTreeSet<u64> = listed.iter().map(|socket| socket.inode).collect();
        for socket in told {
            if unsettled.contains(&socket.inode) {
                self.gaps.told.push(socket);
                self.gaps.settle_at = Some(Instant::now() + LATER);
            } else if !there.contains(&socket.inode) {
                // It is gone already, and what it sent with it.
                self.add_socket(&socket, None);
            }
        }
    }

    /// The sockets of audited namespaces that may bypass.
    fn list_sockets(&mut self) -> Vec<Bypass> {
        let hooks = self.hooks.get(&mut self.following.entries);
        match hooks.and_then(CgroupHooks::bypassing) {
            Ok(mut listed) => {
                listed.retain(|socket| self.namespaces.contains_key(&socket.netns));
                listed
            }
            Err(error) => {
                let error = format!("{error:#}");
                let notice = Notice::PacketSocketsNotListed { error };
                self.gaps.logged.once(notice, &self.hub);
                Vec::new()
            }
        }
    }

    fn add_socket(&mut self, socket: &Bypass, state: Option<State>) {
        let Some(way) = Way::of_family(socket.family) else {
            return;
        };
        let interface = match state {
            Some(state) => state.interface,
            None => Some(socket.interface).filter(|index| index.is_some()),
        };
        // An AF_XDP socket that is there and bound to nothing cannot send yet.
        let is_idle = way == Way::Xdp && state.is_some() && interface.is_none();
        if is_idle || !self.is_audited(socket.netns, interface) {
            return;
        }
        self.gaps.add(Gap {
            key: GapKey {
                netns: socket.netns,
                interface,
                by: By::Sockets(way, SubjectKey::program(&socket.owner)),
            },
            cause: match way {
                Way::QdiscBypass => CauseKind::QdiscBypass,
                Way::Xdp => CauseKind::Xdp,
            },
            process: enrich::owner(&socket.owner),
            socket: state.map(|state| state.cookie),
        });
    }

    /// Whether what leaves by an interface, or by any, would be audited if it could be seen.
    fn is_audited(&self, netns: NetNsCookie, interface: Option<IfIndex>) -> bool {
        let Some(namespace) = self.namespaces.get(&netns) else {
            return false;
        };
        let Some(interface) = interface else {
            return true;
        };
        let link = namespace.network.links.get(interface);
        namespace.hooks.has(interface) && !link.is_some_and(|link| link.loopback)
    }

    /// Looks for what stands before pinif.
    fn look_ahead(&mut self, netns: NetNsCookie) {
        let Some(namespace) = self.namespaces.get(&netns) else {
            return;
        };
        for (interface, ahead) in namespace.hooks.ahead().unwrap_or_default() {
            for what in ahead {
                let what = what.to_string();
                self.gaps.add(Gap {
                    key: GapKey {
                        netns,
                        interface: Some(interface),
                        by: By::Ahead(what.clone()),
                    },
                    cause: CauseKind::Ahead(what),
                    process: None,
                    socket: None,
                });
            }
        }
    }

    /// Looks for XDP programs: those that have a map of devices send by them.
    fn look_at_xdp(&mut self, netns: NetNsCookie) {
        let Some(namespace) = self.namespaces.get(&netns) else {
            return;
        };
        for program in xdp::programs(namespace.hooks.netns()).unwrap_or_default() {
            if !self.is_audited(netns, Some(program.interface)) {
                continue;
            }
            let shown = match program.name.as_str() {
                "" => program.id.to_string(),
                name => format!("{name} (id {})", program.id),
            };
            if !program.sends {
                let interface = self.names.of(netns, program.interface);
                let notice = Notice::XdpProgram {
                    interface,
                    program: shown,
                };
                self.gaps.logged.once(notice, &self.hub);
                continue;
            }
            self.gaps.add(Gap {
                key: GapKey {
                    netns,
                    interface: Some(program.interface),
                    by: By::XdpProgram(program.id),
                },
                cause: CauseKind::XdpProgram(shown),
                process: None,
                socket: None,
            });
        }
    }

    /// Looks for the kernel's own senders.
    fn look_at_generators(&mut self, netns: NetNsCookie) {
        let Some(namespace) = self.namespaces.get(&netns) else {
            return;
        };
        let pktgen = pktgen::devices(namespace.hooks.netns());
        let mut found: Vec<_> = pktgen
            .into_iter()
            .map(|device| (device, By::Pktgen, CauseKind::Pktgen))
            .collect();
        if self.following.name(netns) == HOST {
            let devices = netconsole::devices().into_iter();
            found.extend(devices.map(|device| (device, By::Netconsole, CauseKind::Netconsole)));
        }
        for (device, by, cause) in found {
            let link = namespace.network.links.by_name(&device);
            if let Some(interface) = link.map(|link| link.index)
                && self.is_audited(netns, Some(interface))
            {
                self.gaps.found.push(Gap {
                    key: GapKey {
                        netns,
                        interface: Some(interface),
                        by,
                    },
                    cause,
                    process: None,
                    socket: None,
                });
            }
        }
    }
}
