//! What an audit is to do, and what may be asked of it while it runs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use globset::GlobMatcher;
use pinif_ebpf::key::NetNsCookie;
use tokio::sync::oneshot;

use super::{enforcement::Enforce, fail_on::FailOn};
use crate::{
    capture::Capture,
    findings::{latent::Holding, listed::Page, query::Query},
    foresee::closed::Distinct,
    host::{identity::Identity, namespaces::Wanted, netns::NetNs},
    hub::{Notice, Snapshot},
    kernel::{load::Loader, mode::Mode, persist::Persist},
    learned,
    policy::{Policy, PolicyErrors},
};

/// How long no packet of a finding is seen until it is quiet, unless something else is chosen.
pub const QUIET_AFTER: Duration = Duration::from_secs(5 * 60);

/// What to audit.
pub struct Plan {
    /// What this run is called.
    pub identity: Identity,
    /// The network namespaces of the beginning.
    pub namespaces: Vec<NetNs>,
    /// Those that are audited besides, for as long as they are there.
    pub wanted: Wanted,
    /// The interfaces, by name; all where empty.
    pub interfaces: Vec<GlobMatcher>,
    /// The cgroup below which sockets are followed: a directory of the v2 hierarchy.
    pub cgroup: PathBuf,
    /// The policy in force at the start.
    pub policy: Policy,
    /// Whether leaks are dropped.
    pub enforce: Enforce,
    /// Whether a policy that comes later would drop the session.
    pub objection: Objection,
    /// How long to audit; until `stop` where there is none.
    pub duration: Option<Duration>,
    /// From which severity on the exit status is 2.
    pub fail_on: FailOn,
    /// How long no packet of a finding is seen until it is quiet.
    pub quiet_after: Duration,
    /// Whether it is foreseen what would leak if an interface went down.
    pub foresee: bool,
    /// Whether replies are audited: by which interface a server answers, and by which it was asked.
    pub replies: bool,
    /// Whether it is learned what is sent by whom.
    pub learn: bool,
    /// What is to be captured of each finding, where anything is.
    pub capture: Option<Capture>,
    /// How many sockets there is room for; as many as fit the machine where nothing is said.
    pub max_sockets: Option<u32>,
    /// How to attach.
    pub attach: Mode,
    /// The level of aya-log in the programs: 0 is off, 1 errors, 5 traces.
    pub log_level: u8,
    /// What loads the programs.
    pub loader: Loader,
    /// What is to stay when the collector ends; nothing, if nothing is.
    pub persist: Option<Persist>,
}

/// What may happen to an audit from outside.
pub enum Order {
    /// A new policy comes into force.
    Policy(Box<Policy>),
    /// The policy was changed, and is wrong now: the one in force stays.
    WrongPolicy(PolicyErrors),
    /// The operator confirms that leaks are to be dropped for good.
    Confirm,
    /// Nobody reads standard output any more, and the audit goes on.
    ReaderLeft,
    /// Something to be known, such as a signal that means nothing.
    Notice(Notice),
    /// Somebody asks for something that the audit knows.
    Ask(Question),
}

/// What may be asked of an audit. Where nobody waits for the answer any more, none is given.
#[derive(Debug)]
pub enum Question {
    /// How it stands; at most a second old.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// Findings, with their counts of now.
    Findings(Box<Query>, oneshot::Sender<Page>),
    /// The namespaces that are audited now.
    Namespaces(oneshot::Sender<Vec<NetNs>>),
    /// A page of what was learned of what is sent by whom: from which place on, and how many at most; none where nothing is learned.
    Learned(u64, usize, oneshot::Sender<Option<learned::Page>>),
    /// What is foreseen now, at most so much of it; none where nothing is foreseen at all.
    Foreseen(usize, oneshot::Sender<Option<Holding>>),
    /// The sockets that were closed in a namespace; or why they cannot be read.
    Closed(NetNsCookie, oneshot::Sender<Result<Distinct, String>>),
}

/// Says that a policy would drop the session, if it were enforced in these namespaces: a sentence without its beginning.
/// Nothing, where it would not.
pub type Objection = fn(&Policy, &[NetNs]) -> Result<Option<String>>;
