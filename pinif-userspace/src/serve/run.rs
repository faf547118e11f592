//! All parts together, until a signal ends them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{
    address::Address,
    ask::{Asker, Find},
    exec::{Hook, Program},
    follow::{Follower, Known},
    heard::Heard,
    host_names::HostNames,
    listen::{Incoming, Listener},
    otlp::{Collector, Exporter, Exports},
    recorder::Recorder,
    report::{Reporter, notify},
    secure::{Door, InForce, follow},
    sources::Sources,
    via::Via,
    web::Web,
};
use crate::{
    control::connection::{self, Requests, take_all},
    history::{Retention, Store},
    host::identity::Identity,
    surfaces::Level,
};

/// How many connections are answered at once.
const MOST: usize = 64;

/// What is to be served.
pub struct Plan {
    /// How the auditor is found.
    pub find: Find,
    /// Where readers are answered.
    pub listen: Address,
    /// What readers of other machines are held to; nothing where those of this machine alone are answered.
    pub secure: Option<InForce>,
    /// What this machine is called besides.
    pub hosts: Vec<String>,
    /// What is called for what becomes of findings, where something is.
    pub exec: Option<Program>,
    /// Where the history is kept, and how much of it; nowhere, where there is none.
    pub history: Option<(PathBuf, Retention)>,
    /// Where findings and metrics are sent, of the history; nowhere, where there is none.
    pub otlp: Option<Otlp>,
    /// The interface by which all is sent and answered; by any, where there is none.
    pub via: Option<Via>,
}

/// What is sent by OTLP.
pub struct Otlp {
    /// Where to.
    pub collector: Collector,
    /// How often metrics are.
    pub every: Duration,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// Why it cannot begin.
pub fn run(plan: Plan) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let ended = runtime.block_on(serve(plan));
    runtime.shutdown_background();
    ended
}

async fn serve(plan: Plan) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
    let reporter = Arc::new(Reporter::standard());
    let recorder = plan
        .history
        .map(|(path, retention)| begin(&path, retention, &reporter))
        .transpose()?
        .map(Arc::new);
    let secure = plan.secure.map(Arc::new);
    let program = plan.exec;
    let hook = program.map(|program| Arc::new(Hook::new(program, Arc::clone(&reporter))));
    let listener = Listener::at(&plan.listen, secure.is_some(), plan.via.as_ref())?;
    let heard = Arc::new(Heard::default());
    let asker = Arc::new(Asker::new(plan.find));
    let exports = plan.otlp.is_some().then(Arc::<Exports>::default);
    let sources = Sources {
        asker: Arc::clone(&asker),
        heard: Arc::clone(&heard),
        recorder: recorder.clone(),
        secure: secure.clone(),
        hook: hook.clone(),
        exports: exports.clone(),
    };
    let exporter = exporter(plan.otlp, &sources, &reporter);
    let web = Web::new(sources, HostNames::new(&plan.hosts, secure.clone()));
    let follower = Follower {
        asker,
        heard,
        recorder: recorder.clone(),
        hook: hook.clone(),
        known: Known::default(),
        reporter: Arc::clone(&reporter),
    };
    let (stop, stopped) = watch::channel(false);
    let door = secure.clone().map(|secure| Door::new(secure, MOST));
    let reloading = match secure {
        Some(secure) => follow(secure, hangup, Arc::clone(&reporter), stopped.clone())?,
        // There is nothing to be read again, and it is no reason to end.
        None => tokio::spawn(async move { while hangup.recv().await.is_some() {} }),
    };
    reporter.note(Level::Info, &format!("answering at {}", listener.place()));
    notify(&[NotifyState::Ready]);
    let following = tokio::spawn(follower.run(stopped.clone()));
    let calling = hook.map(|hook| tokio::spawn(hook.run(stopped.clone())));
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run(stopped.clone())));
    let most = door.as_ref().map_or(MOST, |_| Door::most(MOST));
    let answering = take_all(&listener, most, stopped.clone(), |incoming| {
        let web = web.clone();
        let answer = move |request| {
            let mut web = web.clone();
            async move { web.answer(request).await }
        };
        let (door, stopped) = (door.clone(), stopped.clone());
        Some(async move {
            match (incoming, door) {
                (Incoming::Tcp(stream, peer), Some(door)) => {
                    door.pass(stream, peer, answer, stopped).await;
                }
                (incoming, _) => {
                    connection::answer(incoming.plain(), Requests::All, answer, stopped).await;
                }
            }
        })
    });
    let ending = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        notify(&[NotifyState::Stopping]);
        stop.send_replace(true);
    };
    tokio::join!(answering, ending);
    // It does not panic, so there is nothing to learn.
    let _ = following.await;
    if let Some(calling) = calling {
        let _ = calling.await;
    }
    if let Some(exporting) = exporting {
        let _ = exporting.await;
    }
    reloading.abort();
    if let Some(recorder) = recorder {
        recorder.end();
    }
    Ok(())
}

/// Who sends what is kept, where somebody is to.
fn exporter(otlp: Option<Otlp>, sources: &Sources, reporter: &Arc<Reporter>) -> Option<Exporter> {
    let Otlp { collector, every } = otlp?;
    Some(Exporter {
        collector,
        recorder: sources.recorder.clone()?,
        sources: sources.clone(),
        every,
        exports: sources.exports.clone()?,
        reporter: Arc::clone(reporter),
    })
}

fn begin(
    path: &std::path::Path,
    retention: Retention,
    reporter: &Arc<Reporter>,
) -> Result<Recorder> {
    let store = match Store::open(path, retention) {
        Err(error) if !error.may_pass() => return Err(error.into()),
        store => store,
    };
    let boot = Identity::read(BTreeMap::new())?.boot;
    Recorder::start(path, retention, store, boot, Arc::clone(reporter))
        .context("no thread can be started for the history")
}
