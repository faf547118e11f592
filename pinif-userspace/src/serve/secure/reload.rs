//! What is in the operator's files is taken again: at SIGHUP, and when one of them is written or replaced.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::Signal,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
};

use super::in_force::InForce;
use crate::{
    host::file_watch::{Happening, Seen, Watch, Way},
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
    let (mut watch, mut changes) = Watch::new(Happening::Contents)
        .context("changes of the certificate cannot be watched for")?;
    // Before they are looked at, so that what is written in the meantime is a change.
    watch.look_at(way(&in_force), false, false)?;
    let mut seen = None;
    let mut is_wrong = false;
    Ok(tokio::spawn(async move {
        loop {
            let now = Seen::of(in_force.files().all(), &way(&in_force));
            // The first time, they are read once more: they may have changed between the first reading and the watching.
            if seen.as_ref() != Some(&now) {
                let is_first = seen.is_none();
                seen = Some(now);
                is_wrong = !reload(&in_force, &reporter, is_first).await;
                look_at(&mut watch, &in_force, is_wrong);
                // What has changed before that was seen by nobody.
                continue;
            }
            tokio::select! {
                _ = stopped.changed() => return,
                Some(()) = hangup.recv() => seen = Some(Default::default()),
                Some(()) = changes.next() => changes.settle().await,
            }
            // The links may lead elsewhere by now.
            look_at(&mut watch, &in_force, is_wrong);
        }
    }))
}

/// Watches what matters. Where that cannot be, SIGHUP still works.
fn look_at(watch: &mut Watch, in_force: &InForce, is_wrong: bool) {
    let _ = watch.look_at(way(in_force), true, is_wrong);
}

/// Takes what is in them, and says what came of it; where that is what was expected, and nobody has asked, nothing. Returns whether
/// they are right.
async fn reload(in_force: &Arc<InForce>, reporter: &Reporter, is_quiet: bool) -> bool {
    let reading = Arc::clone(in_force);
    // It does not panic, so that it is the runtime that ends.
    let Ok(read) = spawn_blocking(move || reading.reload()).await else {
        return true;
    };
    let is_right = read.is_ok();
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
    is_right
}

fn way(in_force: &InForce) -> Way {
    let mut way = Way::default();
    for file in in_force.files().all() {
        way.add(Way::to(file).unwrap_or_default());
    }
    way
}
