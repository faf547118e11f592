//! What is in the operator's files is taken again: at SIGHUP, and when one of them is written or replaced.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::Signal,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
};

use super::in_force::InForce;
use crate::{
    host::file_watch::{self, FileState, Watch},
    serve::report::Reporter,
    surfaces::Level,
};

/// Follows them until it is stopped. Within a tokio runtime.
///
/// # Errors
///
/// When they cannot be watched.
pub fn follow(
    in_force: Arc<InForce>,
    mut hangup: Signal,
    reporter: Arc<Reporter>,
    mut stopped: watch::Receiver<bool>,
) -> Result<JoinHandle<()>> {
    let (mut watch, mut changes) =
        Watch::new().context("changes of the certificate cannot be watched for")?;
    // Before they are looked at, so that what is written in the meantime is a change.
    watch.look_at(directories(&in_force), false)?;
    let mut seen = None;
    Ok(tokio::spawn(async move {
        loop {
            let now = states(&in_force);
            // The first time, they are read once more: they may have changed between the first reading and the watching.
            if seen.as_ref() != Some(&now) {
                let is_first = seen.is_none();
                seen = Some(now);
                reload(&in_force, &reporter, is_first).await;
                // The links may lead elsewhere by now; where that cannot be watched, SIGHUP still works.
                let _ = watch.look_at(directories(&in_force), true);
            }
            tokio::select! {
                _ = stopped.changed() => return,
                Some(()) = hangup.recv() => seen = Some(Vec::new()),
                Some(()) = changes.next() => changes.settle().await,
            }
        }
    }))
}

/// Takes what is in them, and says what came of it; where that is what was expected, and nobody has asked, nothing.
async fn reload(in_force: &Arc<InForce>, reporter: &Reporter, is_quiet: bool) {
    let reading = Arc::clone(in_force);
    // It does not panic, so that it is the runtime that ends.
    let Ok(read) = spawn_blocking(move || reading.reload()).await else {
        return;
    };
    match read {
        Ok(()) => {
            reporter.trouble(None);
            if !is_quiet {
                let text = "what is in the files of certificates and tokens is in force";
                reporter.note(Level::Info, text);
            }
        }
        Err(error) => {
            let text = format!("{error}. What was in force before stays so");
            reporter.note(Level::Error, &text);
            reporter.trouble(Some("The newest certificates or tokens are wrong"));
        }
    }
}

fn states(in_force: &InForce) -> Vec<Option<FileState>> {
    in_force.files().all().map(FileState::of).collect()
}

fn directories(in_force: &InForce) -> BTreeSet<PathBuf> {
    let all = in_force.files().all();
    let of = |file: &Path| file_watch::directories(file).unwrap_or_default();
    all.flat_map(of).collect()
}
