//! A policy that changes while it is in force: at SIGHUP, and when its file is written or replaced.

use std::{io, path::PathBuf};

use anyhow::{Context as _, Result};
use tokio::{signal::unix, sync::mpsc};

use super::super::occasion::occasion;
use crate::{
    collector::plan::Order,
    host::file_watch::{Happening, Seen, Watch, Way},
    hub::Notice,
    policy::{Occasion, Policy, PolicyErrors, drop_in_directory, drop_ins},
};

/// Where the policy is, unless it is named.
pub(in crate::commands) const DEFAULT: &str = "/etc/pinif/policy.toml";

/// Where the policy comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    file: PathBuf,
    /// Whether there may be none.
    optional: bool,
    occasion: Occasion,
    seen: Seen,
    /// Whether it was wrong when it was read last.
    is_wrong: bool,
}

impl Source {
    /// The named file, or the default one, if that is there.
    pub(super) fn new(named: Option<PathBuf>) -> Self {
        Self {
            optional: named.is_none(),
            file: named.unwrap_or_else(|| DEFAULT.into()),
            occasion: occasion(),
            seen: Seen::default(),
            is_wrong: false,
        }
    }

    /// The policy as it is now; nothing where there is none, nor has to be.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(&mut self) -> Result<Option<Policy>, PolicyErrors> {
        // First, so that what is written in the meantime counts as a change.
        self.seen = self.states();
        let occasion = self.occasion;
        if occasion == Occasion::ByHand {
            self.occasion = Occasion::AgainByHand;
        }
        let read = match Policy::read(&self.file, occasion) {
            Err(errors) if self.optional && errors.is_missing() => {
                Policy::read_drop_ins(&self.file, occasion)
            }
            Err(errors) => Err(errors),
            Ok(policy) => {
                // From now on, the lack of it is an accident.
                self.optional = false;
                Ok(Some(policy))
            }
        };
        self.is_wrong = read.is_err();
        read
    }

    fn order(&mut self) -> Order {
        match self.read() {
            Ok(Some(policy)) => Order::Policy(Box::new(policy)),
            Ok(None) => Order::Notice(Notice::PolicyAbsent),
            Err(errors) => Order::WrongPolicy(errors),
        }
    }

    /// Whether a file is another, or has been written, or is there or gone since they were read last.
    fn has_changed(&self) -> bool {
        self.states() != self.seen
    }

    /// The states of the policy's file and of those beside it, and who can replace them.
    fn states(&self) -> Seen {
        // Where they cannot be listed, the reading says so.
        let beside = drop_ins(&self.file).unwrap_or_default();
        let files = [&self.file].into_iter().chain(&beside).map(|file| &**file);
        Seen::of(files, &self.way().unwrap_or_default())
    }

    /// The way to it, and to those beside it.
    fn way(&self) -> io::Result<Way> {
        let mut way = Way::to(&self.file)?;
        let beside = drop_in_directory(&self.file);
        if let Ok(real) = beside.canonicalize() {
            way.add(Way::to(&beside)?);
            way.decisive.insert(real);
            for file in drop_ins(&self.file).unwrap_or_default() {
                way.add(Way::to(&file)?);
            }
        }
        Ok(way)
    }

    /// Has these be watched. The directory of the default policy need not be there.
    fn watch(&self, watch: &mut Watch) -> Result<()> {
        let way = self
            .way()
            .with_context(|| format!("the path {} cannot be made absolute", self.file.display()))?;
        watch.look_at(way, self.optional, self.is_wrong)
    }
}

/// Sends the policy each time that it is to be read again (at `hangup`, and when its file changes), or what is wrong with it, for as long as somebody receives it.
/// Within a tokio runtime.
///
/// # Errors
///
/// When the file's directory cannot be watched.
pub(super) fn follow(
    mut source: Source,
    mut hangup: unix::Signal,
    orders: mpsc::UnboundedSender<Order>,
) -> Result<()> {
    let (mut watch, mut changes) = Watch::new(Happening::Contents)
        .context("changes of the policy file cannot be watched for")?;
    source.watch(&mut watch)?;
    tokio::spawn(async move {
        // It may have changed between the first reading and the watching.
        let mut changed = source.has_changed();
        while !orders.is_closed() {
            if !changed {
                tokio::select! {
                    Some(()) = hangup.recv() => {}
                    Some(()) = changes.next() => {
                        // The directory beside the policy may be there at last, and what is in it from now on is watched for.
                        let _ = source.watch(&mut watch);
                        if !source.has_changed() {
                            continue;
                        }
                        changes.settle().await;
                    }
                    else => return,
                }
            }
            // Beside the collector, which shares this thread: a large policy takes its time.
            let reading = tokio::task::spawn_blocking(move || {
                let order = source.order();
                (source, order)
            });
            // It does not panic, so that it is the runtime that ends.
            let Ok((read, order)) = reading.await else {
                return;
            };
            source = read;
            if orders.send(order).is_err() {
                return;
            }
            // The links may lead elsewhere by now; where that cannot be watched, SIGHUP still works.
            let _ = source.watch(&mut watch);
            // What has changed before that was seen by nobody.
            changed = source.has_changed();
        }
    });
    Ok(())
}
