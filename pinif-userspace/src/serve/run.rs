//! All parts together, until a signal ends them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{
    address::Address,
    ask::{Asker, Find},
    follow::Follower,
    heard::Heard,
    listen::Listener,
    recorder::Recorder,
    report::{Reporter, notify},
    web::{Sources, Web},
};
use crate::{
    control::connection::{answer_all, take_all},
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
    /// Where the history is kept, and how much of it; nowhere, where there is none.
    pub history: Option<(PathBuf, Retention)>,
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
    let reporter = Arc::new(Reporter::standard());
    let recorder = plan
        .history
        .map(|(path, retention)| begin(&path, retention, &reporter))
        .transpose()?
        .map(Arc::new);
    let listener = Listener::at(&plan.listen).await?;
    let heard = Arc::new(Heard::default());
    let asker = Arc::new(Asker::new(plan.find));
    let web = Web::new(Sources {
        asker: Arc::clone(&asker),
        heard: Arc::clone(&heard),
        recorder: recorder.clone(),
    });
    let follower = Follower {
        asker,
        heard,
        recorder: recorder.clone(),
        reporter: Arc::clone(&reporter),
    };
    let (stop, stopped) = watch::channel(false);
    reporter.note(Level::Info, &format!("answering at {}", listener.address()));
    notify(&[NotifyState::Ready]);
    let following = tokio::spawn(follower.run(stopped.clone()));
    let answering = take_all(&listener, MOST, stopped.clone(), |stream| {
        let web = web.clone();
        let answer = move |request| {
            let mut web = web.clone();
            async move { web.answer(request).await }
        };
        Some(answer_all(stream, answer, stopped.clone()))
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
    if let Some(recorder) = recorder {
        recorder.end();
    }
    Ok(())
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
