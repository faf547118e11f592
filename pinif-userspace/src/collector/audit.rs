//! All that an audit holds. [`run`](super::run) and the files beside it wire it to the kernel and the host.

use std::{
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use globset::GlobMatcher;
use pinif_ebpf::{bypass::Bypass, key::NetNsCookie, sighting::SightingRecord};

use super::{
    accepting::Accepting, attachments::Attachments, capturing::Capturing, connections::Connections,
    deliveries::Deliveries, enforcement::Enforcement, following::Following, foreseer::Foreseer,
    foresight::Foresight, gaps::Gaps, host_view::HostView, integrity::Integrity, key::Key,
    learning::Learning, leaving::Leaving, ledger::Ledger, losses::Losses, names::Names,
    netlink_events::Followed, orders::Orders, pace::Pace, places::Places, plan::Objection,
    rate_limit::RateLimit, recent::Snapshots, rulesets::Rulesets, searches::Searches,
    series::Growing, takeover::Takeover, totals::Totals, waiting::Waiting,
};
use crate::{
    findings::shared::Shared,
    host::{
        identity::Identity, namespaces::Enter, netns::NetNs, network::Network, routes::RouteOracle,
        running::Running,
    },
    hub::Hub,
    kernel::{
        attach::{Hooks, NamespaceHooks},
        counters::Counters,
        persist::Persist,
        publish::Publisher,
        ring::Ring,
        wakes::Wakes,
    },
    policy::Policy,
};

/// One audited namespace.
pub(super) struct Namespace {
    pub(super) hooks: NamespaceHooks,
    pub(super) network: Network,
    pub(super) oracle: RouteOracle,
    pub(super) running: Running,
    pub(super) followed: Followed,
    /// What last led a shell to it.
    pub(super) enter: Enter,
}

impl Namespace {
    /// What leads a shell to it now, where it is called so.
    pub(super) fn enter(&mut self, name: &str) -> Enter {
        let netns = self.hooks.netns();
        if !self.enter.leads_to(netns.inode) {
            let mut netns: NetNs = netns.clone();
            netns.name = name.to_owned();
            self.enter = Enter::of(&netns);
        }
        self.enter.clone()
    }
}

/// When a new finding is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// At once.
    Now,
    /// As soon as the rate limit of its class admits it ([`RateLimit`]).
    RateLimited,
}

/// How far the start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Interfaces are attached, and nothing is counted.
    Attaching,
    /// Interfaces are attached, and what leaves by those that are is counted.
    Counting,
    /// All are attached.
    Over,
}

/// An audit that runs.
pub(super) struct Audit {
    pub(super) identity: Identity,
    pub(super) hub: Arc<Hub>,
    pub(super) orders: Orders,
    pub(super) persist: Option<Rc<Persist>>,
    pub(super) takeover: Takeover,
    pub(super) namespaces: BTreeMap<NetNsCookie, Namespace>,
    pub(super) host_view: HostView,
    /// Those namespaces that are gone, while all is detached from them.
    pub(super) leaving: Leaving,
    pub(super) following: Following,
    pub(super) names: Names,
    pub(super) totals: Totals,
    /// Attached for as long as it lives.
    pub(super) hooks: Hooks,
    /// Sockets that the hook saw and that are about to bypass.
    pub(super) bypasses: Ring<Bypass>,
    pub(super) gaps: Gaps,
    pub(super) integrity: Integrity,
    /// Why something of what it looks at can change without a report.
    pub(super) unreported: Vec<String>,
    /// Why a socket can come to send past TC egress without a report.
    pub(super) unheard_bypasses: Vec<String>,
    /// What is looked at with it, and reached by a path.
    pub(super) places: Places,
    /// What wakes who reads nothing on time.
    pub(super) wakes: Wakes,
    /// When the counters are read.
    pub(super) pace: Pace,
    pub(super) publisher: Publisher,
    pub(super) sightings: Ring<SightingRecord>,
    pub(super) waiting: Waiting,
    pub(super) counters: Counters,
    pub(super) ledger: Ledger<Key>,
    pub(super) connections: Connections,
    pub(super) deliveries: Deliveries,
    pub(super) accepting: Accepting,
    /// The counters of metrics.
    pub(super) growing: Growing,
    /// How many findings the kernel's table had when it was last read.
    pub(super) findings: u64,
    /// The sum of what was counted by then: another where a finding has grown.
    pub(super) counted: u64,
    /// Of how many findings more was asked since the last reading began ([`Audit::ask_about`]).
    pub(super) asked: u32,
    pub(super) losses: Losses,
    pub(super) rate_limit: RateLimit,
    /// Some finding has a counter.
    pub(super) counts: bool,
    /// Every policy that was in force, by generation: sightings name the one that they were judged by.
    pub(super) policies: BTreeMap<u32, Policy>,
    pub(super) enforcement: Enforcement,
    pub(super) objection: Objection,
    /// When nothing is dropped any more.
    pub(super) enforced_until: Option<Instant>,
    pub(super) interfaces: Vec<GlobMatcher>,
    pub(super) duration: Option<Duration>,
    /// How far the start is.
    pub(super) beginning: Beginning,
    pub(super) started: Instant,
    /// The same, as people say it.
    pub(super) began: SystemTime,
    /// The same on `CLOCK_MONOTONIC`: the same number in each instance that goes on with these counts.
    pub(super) counts_began: Duration,
    pub(super) searches: Searches,
    pub(super) rulesets: Rulesets,
    pub(super) attachments: Attachments,
    /// When the policy in force came into force.
    pub(super) policy_loaded: SystemTime,
    /// What was wrong with the last policy that was to come into force, if anything was.
    pub(super) reload_failure: Option<Vec<String>>,
    pub(super) snapshots: Snapshots,
    pub(super) foresight: Foresight,
    pub(super) foreseer: Foreseer,
    /// What is learned of what is sent by whom, where it is.
    pub(super) learning: Option<Learning>,
    /// What is captured of findings, where anything is.
    pub(super) capturing: Option<Capturing>,
    /// What findings share.
    pub(super) shared: Shared,
}
