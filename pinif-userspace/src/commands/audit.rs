//! `pinif audit`: the auditor.

use std::{path::PathBuf, process::ExitCode, task::Poll};

use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt as _, stream};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::signals::Ignored;
use crate::{
    collector::{
        self,
        enforcement::Enforce,
        plan::{Order, Plan},
    },
    control::Listening,
    host::{
        capabilities, cgroups,
        identity::Identity,
        namespaces::{Census, Wanted},
        netns::NetNs,
    },
    hub::{Hub, Notice, notice::SessionPolicy},
    kernel::{load::Loader, mode::Mode, persist::Persist},
    policy::{Policy, PolicyErrors},
    surfaces::{self, Format, WithoutReader, journal::machine},
    text::streams,
};

mod args;
mod capture;
mod enforce;
mod labels;
mod logging;
mod reload;
pub mod session;
mod socket;

pub use args::AuditArgs;
use args::glob;
pub(super) use reload::DEFAULT as DEFAULT_POLICY;
use reload::Source;

/// The policy of the named file, or of the default one; the empty policy, where that is not there.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn policy_of(named: Option<PathBuf>) -> Result<Policy, PolicyErrors> {
    Ok(Source::new(named).read()?.unwrap_or_default())
}

/// Runs `pinif audit`. The exit status: 0 nothing at or over `--fail-on`, 2 a finding, 3 counts may be
/// incomplete.
///
/// # Errors
///
/// What the audit lacks, in a sentence with the fix.
pub fn run(args: AuditArgs) -> Result<ExitCode> {
    collector::memory::keep_small();
    logging::start(args.log_level);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let signals = {
        let _inside = runtime.enter();
        Signals::catch()?
    };
    let mut source = Source::new(args.policy.clone());
    let policy = source.read()?.unwrap_or_default();
    let loader = Loader::begin();
    if let Some(obstacle) = capabilities::obstacle(&capabilities::check()) {
        bail!("{obstacle}");
    }
    let (namespaces, wanted) = namespaces(&args)?;
    let enforce = enforce::asked(args.enforce_for, args.enforce);
    let warning = session_is_spared(&enforce, &policy, &namespaces)?;
    let (listening, lack) = socket::listen(args.socket, args.no_socket)?;
    let attach = args.attach.unwrap_or_else(Mode::of_kernel);
    let persist = args
        .persist
        .map(|directory| Persist::open(&directory, attach));
    let plan = Plan {
        identity: Identity::read(labels::labels(args.label)?)?,
        quiet_after: args.quiet_after,
        loader,
        persist: persist.transpose()?,
        namespaces,
        wanted,
        interfaces: args.interface,
        cgroup: cgroup(args.cgroup)?,
        policy,
        enforce,
        objection: session::objection,
        duration: args.duration,
        fail_on: args.fail_on,
        foresee: args.foresee,
        replies: args.replies,
        learn: args.learn,
        capture: args.capture.open()?,
        max_sockets: args.max_sockets,
        attach,
        log_level: logging::level_of_programs(args.log_level),
    };
    let notices = warning.into_iter().chain(lack);
    let surroundings = Surroundings {
        source,
        format: args.format,
        journal: args.journal,
        notices: notices.collect(),
        signals,
        listening,
    };
    let status = runtime.block_on(audit(plan, surroundings))?;
    // A search for a process may still be under way; it is not waited for.
    runtime.shutdown_background();
    Ok(ExitCode::from(status))
}

/// That an operator does not lock themselves out: what is dropped for good must not be the session. What undoes itself may be
/// tried, after a warning.
fn session_is_spared(
    enforce: &Enforce,
    policy: &Policy,
    namespaces: &[NetNs],
) -> Result<Option<Notice>> {
    let objection = match enforce {
        Enforce::Never => None,
        Enforce::Always | Enforce::For { .. } => session::objection(policy, namespaces)?,
    };
    match (enforce, objection) {
        (Enforce::Always, Some(objection)) => {
            bail!("--enforce {objection}. `--enforce-for 60s` lets you try it, and undoes itself")
        }
        (_, objection) => Ok(objection.map(|objection| Notice::SessionDropped {
            policy: SessionPolicy::OfStart,
            objection,
        })),
    }
}

/// What is around an audit: where its policy comes from, who sees what it finds, and who may end it.
struct Surroundings {
    source: Source,
    format: Format,
    /// The socket of a journal that is named.
    journal: Option<PathBuf>,
    /// What there is to be known before it begins.
    notices: Vec<Notice>,
    signals: Signals,
    /// Where it is asked.
    listening: Option<Listening>,
}

async fn audit(plan: Plan, surroundings: Surroundings) -> Result<u8> {
    let Surroundings {
        source,
        format,
        journal,
        notices,
        signals,
        listening,
    } = surroundings;
    let without_reader = match plan.enforce {
        Enforce::Never => WithoutReader::Ends,
        Enforce::Always | Enforce::For { .. } => WithoutReader::GoesOn,
    };
    let (orders, received) = mpsc::unbounded_channel();
    let is_read = surfaces::is_on_standard_output(format);
    // Before anything is attached, so that no signal ends pinif without its summary from then on.
    let stops = stops(is_read && without_reader == WithoutReader::Ends)?;
    if is_read && without_reader == WithoutReader::GoesOn {
        let orders = orders.clone();
        tokio::spawn(async move {
            streams::closed().await;
            // Where it has no receiver, the audit is over.
            let _ = orders.send(Order::ReaderLeft);
        });
    }
    let not_watched = signals.follow(&plan.enforce, source, orders.clone());
    let hub = Hub::new();
    let machine = machine(plan.identity.host.as_deref(), &plan.identity.labels);
    for subscriber in surfaces::open(format, without_reader, journal.as_deref(), machine) {
        hub.add(subscriber)
            .context("no thread can be started for the output")?;
    }
    let server = listening.map(|listening| socket::serve(listening, &hub, orders));
    let server = server.transpose()?;
    for notice in notices.into_iter().chain(not_watched) {
        hub.note(notice);
    }
    let status = collector::run::run(plan, received, hub, stops).await;
    if let Some(server) = server {
        server.end().await;
    }
    status
}

/// The signals that do not end an audit, caught before it begins.
struct Signals {
    hangup: tokio::signal::unix::Signal,
    confirm: tokio::signal::unix::Signal,
    ignored: Ignored,
}

impl Signals {
    fn catch() -> Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?,
            confirm: signal(SignalKind::user_defined1()).context("SIGUSR1 cannot be handled")?,
            ignored: Ignored::but(&[SignalKind::user_defined1()])?,
        })
    }

    /// Does what they mean: SIGHUP reads the policy again, SIGUSR1 confirms, and others are reported. Says where nothing but SIGHUP has
    /// the policy read again.
    fn follow(
        self,
        enforce: &Enforce,
        source: Source,
        orders: mpsc::UnboundedSender<Order>,
    ) -> Option<Notice> {
        enforce::follow(enforce, self.confirm, orders.clone());
        let ignored = orders.clone();
        self.ignored.report(move |name| {
            let notice = Notice::SignalIgnored(name.to_owned());
            let _ = ignored.send(Order::Notice(notice));
        });
        reload::follow(source, self.hangup, orders)
    }
}

/// Each request for the end: a signal, or, if it `is_read`, that the reader has left.
fn stops(is_read: bool) -> Result<impl Stream<Item = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut quit = signal(SignalKind::quit()).context("SIGQUIT cannot be handled")?;
    // The processor time that it may use is over (RLIMIT_CPU).
    let expired = SignalKind::from_raw(libc::SIGXCPU);
    let mut expired = signal(expired).context("SIGXCPU cannot be handled")?;
    let signals = stream::poll_fn(move |context| {
        let signals = [&mut interrupt, &mut terminate, &mut quit, &mut expired];
        for signal in signals {
            if signal.poll_recv(context).is_ready() {
                return Poll::Ready(Some(()));
            }
        }
        Poll::Pending
    });
    let closed = stream::iter(is_read.then_some(())).then(|()| streams::closed());
    Ok(stream::select(signals, closed))
}

fn cgroup(named: Option<PathBuf>) -> Result<PathBuf> {
    let Some(named) = named else {
        return cgroups::cgroup2_root();
    };
    cgroups::directory(&named)
}

/// The namespaces of the beginning, and which are wanted besides.
fn namespaces(args: &AuditArgs) -> Result<(Vec<NetNs>, Wanted)> {
    let mut namespaces = Vec::new();
    let mut globs = Vec::new();
    if args.netns.is_empty() && !args.all_netns {
        namespaces.push(NetNs::current()?);
    }
    for name in &args.netns {
        if is_glob(name) {
            let glob = glob(name).map_err(|error| anyhow::anyhow!("--netns {name}: {error}"))?;
            globs.push(glob);
        } else {
            namespaces.push(NetNs::named(name)?);
        }
    }
    let wanted = match (args.all_netns, globs.is_empty()) {
        (true, _) => Wanted::All,
        (false, true) => Wanted::Named,
        (false, false) => Wanted::Matching(globs),
    };
    if wanted.may_be_more() {
        let census = Census::take(&[]).context("/proc cannot be read")?;
        let mut found = Vec::new();
        for inode in census.inodes() {
            if wanted.is(&census.name(inode)) {
                found.extend(census.open(inode)?);
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        namespaces.extend(found);
    }
    // One namespace may have several names.
    let mut seen = std::collections::BTreeSet::new();
    namespaces.retain(|netns| seen.insert(netns.cookie));
    Ok((namespaces, wanted))
}

/// Whether a name of namespaces means those that match it. A path does not, nor does a file that is called so.
fn is_glob(name: &str) -> bool {
    name.contains(['*', '?', '[', '{']) && !name.contains('/')
}
