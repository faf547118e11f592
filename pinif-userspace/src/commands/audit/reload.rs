//! A policy that changes while it is in force: at SIGHUP, and when its file is written or replaced.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{audit::pipeline::Order, policy::Policy, sinks::Level};

/// Editors write in several steps: a file is read when it has been left alone for this long.
const SETTLED: Duration = Duration::from_millis(100);

/// Keeps watching for as long as it lives.
pub(super) struct Reloads {
    _watcher: Option<RecommendedWatcher>,
}

/// Sends the policy each time that it is to be read again, or what is wrong with it. Within a tokio runtime.
///
/// # Errors
///
/// When SIGHUP cannot be handled, or the file's directory cannot be watched.
pub(super) fn follow(
    file: Option<PathBuf>,
    orders: mpsc::UnboundedSender<Order>,
) -> Result<Reloads> {
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
    let (changed, mut changes) = mpsc::unbounded_channel();
    let watcher = file
        .as_deref()
        .map(|file| watch(file, changed))
        .transpose()?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => {}
                Some(()) = changes.recv() => settle(&mut changes).await,
                else => return,
            }
            let order = match &file {
                Some(file) => read(file),
                None => Order::Note(Level::Info, "there is no policy to read again".to_owned()),
            };
            if orders.send(order).is_err() {
                return;
            }
        }
    });
    Ok(Reloads { _watcher: watcher })
}

async fn settle(changes: &mut mpsc::UnboundedReceiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(SETTLED, changes.recv()).await {}
}

fn read(file: &Path) -> Order {
    match Policy::read(file) {
        Ok(policy) => Order::Policy(Box::new(policy)),
        Err(errors) => Order::WrongPolicy(errors),
    }
}

/// Watches the file's directory: a file that is replaced is another file.
fn watch(file: &Path, changed: mpsc::UnboundedSender<()>) -> Result<RecommendedWatcher> {
    let file = std::path::absolute(file)
        .with_context(|| format!("the path {} cannot be made absolute", file.display()))?;
    let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && !event.kind.is_access()
            && event.paths.contains(&file)
        {
            let _ = changed.send(());
        }
    })
    .context("changes of the policy file cannot be watched for")?;
    watcher
        .watch(&directory, RecursiveMode::NonRecursive)
        .with_context(|| format!("the directory {} cannot be watched", directory.display()))?;
    Ok(watcher)
}
