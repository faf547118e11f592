//! From the plan to the line `ready`: what is known of the host is in the maps before the first packet is judged by it.

use std::{
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use pinif_ebpf::heard::Replies;

use super::{
    accepting::Accepting,
    attachments::Attachments,
    audit::{Audit, Beginning},
    capturing::Capturing,
    enforcement,
    following::Following,
    foreseer::Foreseer,
    foresight::Foresight,
    gaps::{self, Gaps},
    host_view::HostView,
    integrity::Integrity,
    learning::Learning,
    leaving::Leaving,
    losses::Losses,
    memory,
    netlink_events::NetlinkEvents,
    orders::Orders,
    pace::Pace,
    persisted_policy, persistence,
    places::Places,
    plan::Plan,
    rate_limit::RateLimit,
    recent::Snapshots,
    reload::warn_of,
    rulesets::Rulesets,
    searches::Searches,
    series::Growing,
    takeover::Takeover,
    waiting::Waiting,
};
use crate::{
    collector::{
        connections::Connections,
        deliveries::Deliveries,
        enforcement::{Enforce, Enforcement},
        ledger::Ledger,
    },
    findings::{
        ready::{Attach, Ready},
        shared::Shared,
    },
    host::{cgroups::is_root, kernel_types, namespaces::Watch},
    hub::{Event, Hub, Notice},
    kernel::{
        arrivals::Arrivals,
        attach::{CgroupHooks, Hooks, More, load_egress},
        audit,
        clock::{monotonic, since_boot},
        counters::Counters,
        entry::Entries,
        learned::Learned,
        load::Captures,
        logs,
        mode::Mode,
        persist::Persist,
        publish::Publisher,
        ring::Ring,
        wakes::Wakes,
    },
};

impl Audit {
    /// Attaches to all that is planned, and reports that it is ready.
    pub(super) fn start(
        plan: Plan,
        orders: Orders,
        hub: Arc<Hub>,
    ) -> Result<(Self, NetlinkEvents)> {
        if plan.namespaces.is_empty() && !plan.wanted.may_be_more() {
            bail!("there is no network namespace to audit");
        }
        raise_descriptor_limit();
        let persist = plan.persist.map(Rc::new);
        let types = kernel_types::of_kernel()?;
        let replies = match (plan.replies, plan.policy.zones.is_empty()) {
            (true, _) => Replies::All,
            // A zone may be contained when the policy is read again.
            (false, false) => Replies::Leaks,
            (false, true) => Replies::None,
        };
        let (mut ebpf, room) = audit::load(
            plan.loader,
            audit::Wanted {
                offsets: &types.offsets,
                log_level: plan.log_level,
                enforces: plan.enforce != Enforce::Never,
                replies,
                learns: plan.learn,
                captures: plan.capture.as_ref().map(|capture| Captures {
                    packets: capture.packets,
                    bytes: capture.snap.taken(),
                }),
                hears_all: is_root(&plan.cgroup),
                sockets: plan.max_sockets,
            },
            persist.as_deref(),
        )?;
        if let Some(asked) = room.not_taken {
            let sockets = room.sockets;
            hub.note(Notice::RoomKept { sockets, asked });
        }
        if plan.log_level > 0 {
            logs::follow(&mut ebpf)?;
        }
        let mut entries = Entries::open(&mut ebpf)?;
        let mut publisher = Publisher::open(&mut ebpf)?;
        let written =
            persisted_policy::enforced_until(&publisher, &plan.policy, persist.as_deref());
        let enforcement = Enforcement::new(plan.enforce, written, persist.is_some(), monotonic());
        if !enforcement.is_on() && publisher.enforces(monotonic()) {
            hub.note(Notice::EnforcementNotContinued);
        }
        publisher.enforce(enforcement.until())?;
        let learned = plan.learn.then(|| Learned::open(&mut ebpf)).transpose()?;
        if learned.is_some() {
            publisher.learn();
        }
        let capturing = plan
            .capture
            .map(|capture| Capturing::start(&mut ebpf, capture, &hub))
            .transpose()?;
        let counters = Counters::open(&mut ebpf)?;
        let learning = learned
            .map(|learned| Learning::begin(learned, persist.as_deref(), &counters))
            .transpose()?;
        let sightings = Ring::open(&mut ebpf)?;
        let bypasses = Ring::open(&mut ebpf)?;
        let previous = persistence::previous(persist.as_deref(), &counters)?;
        let wakes = Wakes::open(&mut ebpf)?;
        let mut arrivals = Arrivals::open(&mut ebpf)?;
        arrivals.forget_all();
        if persist.is_some() {
            // A previous instance's is in the table until this one's takes its place.
            load_egress(&mut ebpf, &mut entries)?;
        }
        let mut following = Following {
            mode: plan.attach,
            entries,
            watch: Watch::open().context("mounts of network namespaces cannot be watched")?,
            arrivals,
        };
        let unresolved = persisted_policy::put_into_force(
            &mut publisher,
            &plan.policy,
            persist.as_deref(),
            &plan.namespaces,
        )?;
        warn_of(&plan.policy, &unresolved, &hub);
        let more = More {
            refuses: enforcement.is_on(),
            replies: plan.replies,
            inside: plan.policy.keeps_inside(),
        };
        let hooks = if persist.is_some() {
            let mut hooks = CgroupHooks::attach(ebpf, &plan.cgroup, persist.as_deref())?;
            hooks.load_ingress(&mut following.entries)?;
            CgroupHooks::remove_unwanted(more, persist.as_deref())?;
            hooks.attach_more(more, persist.as_deref());
            Hooks::here(hooks, more, types)
        } else {
            Hooks::come(ebpf, &plan.cgroup, more, types)?
        };
        let counts_began = persist.as_deref().map_or_else(monotonic, Persist::began);
        let names = persistence::names(persist.as_deref());
        let accepting = Accepting::by(&plan.policy, &hub)?;
        let mut audit = Self {
            hub,
            orders,
            losses: Losses::default(),
            takeover: Takeover::new(previous, Instant::now()),
            namespaces: BTreeMap::new(),
            host_view: HostView::new(plan.wanted),
            leaving: Leaving::default(),
            totals: persistence::totals(persist.as_deref(), &names),
            following,
            names,
            persist,
            hooks,
            bypasses,
            gaps: Gaps::new(Instant::now()),
            integrity: Integrity::new(Instant::now()),
            // Until the first look.
            unreported: vec!["whether changes are reported was not tried yet".to_owned()],
            unheard_bypasses: Vec::new(),
            places: Places::default(),
            wakes,
            pace: Pace::new(Instant::now()),
            counts: false,
            policies: BTreeMap::from([(publisher.generation(), plan.policy)]),
            enforcement,
            objection: plan.objection,
            enforced_until: None,
            publisher,
            sightings,
            waiting: Waiting::default(),
            counters,
            // A finding is reported once a second, and twice more at most: what comes after this run has greater ones. There are
            // enough of them for thirteen years.
            ledger: Ledger::new(plan.quiet_after, (since_boot().as_millis() / 100) as u32),
            connections: Connections::default(),
            deliveries: Deliveries::default(),
            growing: Growing::default(),
            findings: 0,
            counted: 0,
            asked: 0,
            rate_limit: RateLimit::new(),
            interfaces: plan.interfaces,
            duration: plan.duration,
            beginning: Beginning::Attaching,
            started: Instant::now(),
            began: SystemTime::now(),
            counts_began,
            searches: Searches::start(),
            rulesets: Rulesets::start()?,
            attachments: Attachments::default(),
            policy_loaded: SystemTime::now(),
            reload_failure: None,
            snapshots: Snapshots::default(),
            foresight: Foresight::new(plan.foresee),
            foreseer: Foreseer::default(),
            learning,
            capturing,
            shared: Shared {
                boot: Some(plan.identity.boot.as_str().into()),
                ..Shared::default()
            },
            accepting,
            identity: plan.identity,
        };
        let mut changes = NetlinkEvents::new();
        if let Some(policy) = audit.policies.values().next() {
            let input = enforcement::Input::Policy(policy);
            let events = audit.enforcement.on(input, monotonic());
            audit.hub.publish_all(events);
        }
        audit.take_in_all(plan.namespaces, &mut changes)?;
        if let Some(policy) = audit.policies.values().next() {
            audit.warn_of_unmatched(policy);
        }
        audit.begin()?;
        for warning in audit.hooks.warnings() {
            audit.hub.note(Notice::HookMissing(warning));
        }
        audit.report_missing_hooks();
        audit.sweep();
        audit.beginning = Beginning::Over;
        // One that was given before says that it is not.
        audit.snapshots.outdate();
        audit.enforce(enforcement::Input::Begin)?;
        let ready = audit.ready(plan.attach);
        audit.hub.publish(Event::Ready(Arc::new(ready)));
        audit.count_previous()?;
        audit.settle()?;
        audit.enforce(enforcement::Input::Ready)?;
        audit.hooks.trace(&types.traced);
        audit.on_gaps(gaps::Input::Now(gaps::Look::LAST));
        memory::give_back();
        Ok((audit, changes))
    }

    fn ready(&self, attach: Mode) -> Ready {
        let namespaces = self
            .host_view
            .order()
            .iter()
            .filter_map(|netns| self.namespaces.get(netns));
        Ready {
            enter: self.only_enter(),
            interfaces: namespaces
                .clone()
                .flat_map(|namespace| {
                    namespace
                        .network
                        .links
                        .iter()
                        .filter(|link| namespace.hooks.has(link.index))
                        .map(|link| link.name.clone())
                })
                .collect(),
            netns: self
                .host_view
                .order()
                .iter()
                .map(|netns| self.names.namespace(*netns))
                .collect(),
            kernel: nix::sys::utsname::uname().map_or_else(
                |_| String::new(),
                |name| name.release().to_string_lossy().into_owned(),
            ),
            attach: attach.into(),
            enforce: self.enforcement.is_on(),
            policy: self.policy_size(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.identity.run.clone(),
            boot: Some(self.identity.boot.clone()),
            host: self.identity.host.clone(),
            labels: self.identity.labels.clone(),
        }
    }
}

impl From<Mode> for Attach {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Tcx => Self::Tcx,
            Mode::Clsact => Self::Clsact,
        }
    }
}

/// Each interface takes a descriptor: as many as the system allows.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
