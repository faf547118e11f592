//! What the gaps take and return.

use std::collections::{BTreeMap, BTreeSet};

use pinif_ebpf::{
    bypass::{AF_PACKET, Bypass},
    intent::Owner,
    key::{IfIndex, NetNsCookie},
};

use crate::{
    findings::gaps::Gap,
    host::{
        arp_flux::ArpFlux,
        gaps::{Detector, sockets::State, xdp},
    },
};

/// The audited interfaces of each audited namespace, without loopback.
pub(in crate::collector) type Audited = BTreeMap<NetNsCookie, BTreeSet<IfIndex>>;

/// What happened.
#[derive(Debug)]
pub(in crate::collector) enum Input {
    /// The hook saw sockets of audited namespaces that are about to bypass.
    Bypassing(Vec<Bypass>),
    /// Somebody asks that a socket send past TC egress: whoever it is and however it is asked, but it is not known which.
    Asked,
    /// A namespace is audited from now on. Of many that come at once, all is looked for together.
    Namespace,
    /// A gap was found beside a look. It is reported with the next [`Input::Report`] or [`Input::Looked`].
    Found(Box<Gap>),
    /// What was found is to be reported.
    Report,
    /// The time of [`Gaps::due`](super::Gaps::due) has come.
    Due,
    /// pinif is awake for another reason.
    Awake,
    /// It is to be looked now.
    Now(Look),
    /// What [`Output::Look`] asked for.
    Looked(Looked),
}

/// What is to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collector) struct Look {
    /// All, and not the sockets alone.
    pub(in crate::collector) all: bool,
    /// A socket that is bound to nothing names an interface with each packet; else it is looked at once more.
    pub(in crate::collector) settles: bool,
}

impl Look {
    /// The audit begins or ends: all is looked for, and nothing waits any longer.
    pub(in crate::collector) const LAST: Self = Self {
        all: true,
        settles: true,
    };
}

/// What was found.
#[derive(Debug)]
pub(in crate::collector) struct Looked {
    /// What was looked for.
    pub(in crate::collector) look: Look,
    pub(in crate::collector) audited: Audited,
    /// Sockets that the hook saw, and that were not an input yet.
    pub(in crate::collector) bypassing: Vec<Bypass>,
    /// The sockets of audited namespaces that may bypass; or why they cannot be listed.
    pub(in crate::collector) sockets: Result<Vec<Listed>, String>,
    /// What else was found.
    pub(in crate::collector) detected: Vec<(NetNsCookie, Result<Detected, Unknown>)>,
}

/// A socket of the kernel's list.
#[derive(Clone, Debug)]
pub(in crate::collector) struct Listed {
    pub(in crate::collector) socket: Bypass,
    /// What it says of itself: none, if it is gone; or why it cannot be asked.
    pub(in crate::collector) state: Result<Option<State>, String>,
}

impl Listed {
    /// Whether it sends past TC egress, or may, and may be bound to another interface: an AF_XDP socket that is bound stays so.
    pub(super) fn may_move(&self) -> bool {
        match &self.state {
            Ok(Some(state)) => {
                state.bypasses && (self.socket.family == AF_PACKET || state.interface.is_none())
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }
}

/// What is no socket, at an interface. The last is no gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collector) enum Detected {
    /// This comes before pinif.
    Ahead(IfIndex, String),
    /// An XDP program.
    Xdp(xdp::Program),
    /// pktgen is set up to send by it.
    Pktgen(IfIndex),
    /// netconsole is.
    Netconsole(IfIndex),
    /// An interface answers for another's address.
    ArpFlux(Box<ArpFlux>),
}

/// What could not be looked for, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collector) struct Unknown {
    pub(in crate::collector) what: Detector,
    pub(in crate::collector) error: String,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::collector) enum Output {
    /// It is to be looked for this; what is found is the next input.
    Look(Look),
    /// A gap is to be reported, unless it was.
    Gap {
        gap: Box<Gap>,
        /// Who has the socket that makes it.
        owner: Option<Owner>,
        /// Of one that was reported, there is more.
        has_grown: bool,
    },
    /// An XDP program may send back what arrives, which is no gap: people should know.
    SendsBack {
        netns: NetNsCookie,
        interface: IfIndex,
        program: String,
    },
}
