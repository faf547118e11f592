//! What there is to know of an audit besides findings, as facts. The words are in `surfaces/notice.rs`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{capture::Stop, findings::latent::Latent};

/// Something that happened, and is no finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something that takes long has come so far.
    Progress {
        /// What is done.
        what: Work,
        /// How much of it.
        done: usize,
        /// Of so many.
        all: usize,
    },

    /// An interface is audited from now on.
    InterfaceAudited(String),
    /// An interface that was audited is gone.
    InterfaceGone(String),
    /// An interface that is audited has another name.
    InterfaceRenamed {
        /// Its name until now.
        old: String,
        /// Its name from now on.
        new: String,
    },
    /// What arrives by an interface is not audited.
    ArrivalsNotAudited {
        /// The interface.
        interface: String,
        /// Why.
        error: String,
    },
    /// The state of the host could not be written into the maps.
    MapsNotWritten {
        /// Why.
        error: String,
    },

    /// A network namespace is audited from now on.
    NamespaceAudited {
        /// Its name.
        name: String,
        /// How many interfaces of it.
        interfaces: usize,
    },
    /// A network namespace cannot be audited.
    NamespaceRefused {
        /// Its name.
        name: String,
        /// Why.
        error: String,
    },
    /// A network namespace that was audited is gone.
    NamespaceGone(String),
    /// A network namespace has another name.
    NamespaceRenamed {
        /// Its name until now.
        old: String,
        /// Its name from now on.
        new: String,
    },
    /// Namespaces that come cannot be seen.
    NamespacesNotFollowed {
        /// Why.
        error: String,
    },

    /// A new policy is in force.
    PolicyInForce {
        /// How many zones it has.
        zones: usize,
        /// How many rules it has.
        rules: usize,
        /// How many `[[accept]]` it has.
        accepts: usize,
    },
    /// The policy file was changed and has errors: each with its place. The policy in force stays.
    PolicyWrong(Vec<String>),
    /// A new policy cannot come into force. The one in force stays.
    PolicyRefused {
        /// Why.
        error: String,
    },
    /// A new policy is too large for the kernel's tables. The one in force stays.
    PolicyTooLarge {
        /// What does not fit.
        error: String,
    },
    /// What of a policy in force is probably not meant, with its place in the file.
    PolicyWarning(String),
    /// A name of the policy is not on this machine.
    PolicyUnresolved {
        /// What: `user "fabric"`.
        what: String,
        /// Why it is not there.
        why: String,
    },
    /// What a policy names by a path is another by now, or is there at last: its rules follow it.
    PolicyFollows {
        /// What: `executable /usr/sbin/fabd`.
        what: String,
    },
    /// Findings are not accepted any more, since the date of that is over.
    AcceptanceOver {
        /// Where that stands: `policy.toml:12`.
        place: String,
        /// Which findings.
        what: String,
        /// Why they were accepted.
        reason: String,
    },
    /// Rules that drop, while nothing is enforced.
    PolicyNotEnforced {
        /// Their names.
        rules: Vec<String>,
    },
    /// A changed policy is not noticed: its file cannot be watched.
    PolicyNotWatched {
        /// Why, with the fix.
        error: String,
    },
    /// The policy file was to be read again, and there is none.
    PolicyAbsent,

    /// Enforcement ends after a time, unless it is confirmed.
    EnforcementToConfirm {
        /// After how long.
        time: Duration,
        /// How to confirm it: `press Enter`.
        confirm: String,
    },
    /// Somebody confirmed the enforcement.
    EnforcementConfirmed {
        /// What came of that.
        outcome: Confirmed,
        /// Whether the programs stay attached when pinif ends.
        persists: bool,
    },
    /// Somebody asked to confirm, and nothing is dropped.
    NothingToConfirm,
    /// The time for which leaks were dropped is over.
    EnforcementEnded,
    /// The previous collector dropped leaks, and this one does not.
    EnforcementNotContinued,
    /// The policy would drop the session that pinif is run from.
    SessionDropped {
        /// Whose policy it is: that of the start, or a changed one.
        policy: SessionPolicy,
        /// Which connection, and the fix: the end of a sentence.
        objection: String,
    },
    /// Whether a changed policy would drop the session is not known.
    SessionNotChecked {
        /// Why.
        error: String,
    },

    /// What was foreseen does not hold any more.
    ForeseenNoLonger(Arc<Latent>),
    /// What would leak cannot be foreseen in a namespace, or not all of it.
    NotForeseen {
        /// The namespace.
        netns: String,
        /// Why, or what is left out.
        error: String,
        /// Whether the rest is foreseen.
        in_part: bool,
    },

    /// An interface has an XDP program, whose own replies are not seen.
    XdpProgram {
        /// The interface.
        interface: String,
        /// The program's name and number.
        program: String,
    },
    /// A warning of the kernel side: a hook that cannot be attached, and what is not seen without it.
    HookMissing(String),

    /// Interfaces came while no collector ran.
    InterfacesCameLate {
        /// Their names.
        names: Vec<String>,
    },
    /// An auditor that persists was taken over.
    TookOver {
        /// How long ago its counts began.
        age: Duration,
        /// How many findings it has.
        findings: usize,
    },
    /// What persists has room for another number of sockets than is asked for, and keeps it.
    RoomKept {
        /// For how many there is room.
        sockets: u32,
        /// For how many it was asked.
        asked: u32,
    },
    /// The programs stay attached after the end.
    StaysAttached {
        /// Whether they drop leaks.
        drops: bool,
        /// Where they are pinned.
        directory: PathBuf,
    },

    /// Nothing is captured any more.
    CaptureStopped {
        /// The file.
        path: PathBuf,
        /// Why.
        stop: Stop,
    },

    /// Nobody can ask this auditor: it has no control socket.
    NotAsked {
        /// Why.
        error: String,
    },
    /// The audit has ended, and not all of it is shown: a reader does not read.
    WaitsForReader,
    /// A signal that means nothing to pinif.
    SignalIgnored(String),
    /// A subscriber cannot go on.
    SubscriberFailed {
        /// Which.
        name: &'static str,
        /// Why.
        error: String,
    },
}

/// What takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// The egress programs are attached.
    Attaching,
    /// The ingress programs are attached.
    AttachingIngress,
    /// The ingress programs are detached where a new policy does not need them.
    DetachingIngress,
    /// Network namespaces are taken in.
    Namespaces,
    /// All programs are detached from interfaces.
    Detaching,
}

/// What came of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Leaks are dropped for good now.
    Now,
    /// They were before.
    Already,
    /// It came too late.
    TooLate,
}

/// Which policy would drop the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPolicy {
    /// That of the start, under `--enforce-for`.
    OfStart,
    /// A changed one that is in force now, under `--enforce-for`.
    Changed,
    /// A changed one that was refused for it.
    Refused,
}
