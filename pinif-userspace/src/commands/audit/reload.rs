//! A policy that changes while it is in force: at SIGHUP, and when its file is written or replaced.

use std::{future, io, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{signal::unix, sync::mpsc, time::sleep};

use super::super::occasion::occasion;
use crate::{
    collector::plan::Order,
    host::{
        file_watch::{Changes, Happening, Seen, Watch, Way},
        mounts::Mounts,
    },
    hub::Notice,
    policy::{Occasion, Policy, PolicyErrors, drop_in_directory, drop_ins},
};

/// Where the policy is, unless it is named.
pub(in crate::commands) const DEFAULT: &str = "/etc/pinif/policy.toml";

/// How soon after a mount that had nothing to do with it the next is looked at: container engines make many.
const MOUNTS_APART: Duration = Duration::from_millis(500);

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
        // Also where a link leads to what is not there yet.
        way.add(Way::to(&beside)?);
        if let Ok(real) = beside.canonicalize() {
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

/// Has the directories watched, and whether they can be.
#[derive(Default)]
struct Watched(Option<(Watch, Changes)>);

impl Watched {
    /// Those of this policy.
    fn of(source: &Source) -> (Self, Result<()>) {
        match Watch::new(Happening::Contents) {
            Ok((watch, changes)) => {
                let mut watched = Self(Some((watch, changes)));
                let outcome = watched.look_at(source);
                (watched, outcome)
            }
            Err(error) => (Self(None), Err(error)),
        }
    }

    /// Watches what leads to the policy now.
    fn look_at(&mut self, source: &Source) -> Result<()> {
        match &mut self.0 {
            Some((watch, _)) => source.watch(watch),
            None => Ok(()),
        }
    }

    /// Waits until something has happened; for ever where nothing is watched. Safe to cancel.
    async fn next(&mut self) -> Option<()> {
        match &mut self.0 {
            Some((_, changes)) => changes.next().await,
            None => future::pending().await,
        }
    }

    /// Waits for a moment, after something that did not matter.
    async fn pause(&mut self) {
        if let Some((_, changes)) = &mut self.0 {
            changes.pause().await;
        }
    }

    /// Waits until all has been left alone for a moment.
    async fn settle(&mut self) {
        if let Some((_, changes)) = &mut self.0 {
            changes.settle().await;
        }
    }
}

/// Sends the policy each time that it is to be read again (at `hangup`, and when its file changes), or what is wrong with it, for as long as somebody receives it.
/// Within a tokio runtime. Where the file's directory cannot be watched, `hangup` still has it read: says why, then.
pub(super) fn follow(
    mut source: Source,
    mut hangup: unix::Signal,
    orders: mpsc::UnboundedSender<Order>,
) -> Option<Notice> {
    let (mut watched, outcome) = Watched::of(&source);
    let notice = outcome.err().map(|error| Notice::PolicyNotWatched {
        error: format!("{error:#}"),
    });
    // What is mounted over a directory on the way changes nothing in a directory that is watched.
    let mut mounts = Mounts::open().ok();
    tokio::spawn(async move {
        // It may have changed between the first reading and the watching.
        let mut changed = source.has_changed();
        while !orders.is_closed() {
            if !changed {
                tokio::select! {
                    Some(()) = hangup.recv() => {}
                    () = mounted(&mut mounts) => {
                        let _ = watched.look_at(&source);
                        if !source.has_changed() {
                            sleep(MOUNTS_APART).await;
                            continue;
                        }
                        watched.settle().await;
                    }
                    Some(()) = watched.next() => {
                        // The directory beside the policy may be there at last, and what is in it from now on is watched for.
                        let _ = watched.look_at(&source);
                        if !source.has_changed() {
                            watched.pause().await;
                            continue;
                        }
                        watched.settle().await;
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
            let _ = watched.look_at(&source);
            // What has changed before that was seen by nobody.
            changed = source.has_changed();
        }
    });
    notice
}

/// Waits until something is mounted or unmounted; for ever where that is not known. Safe to cancel.
async fn mounted(mounts: &mut Option<Mounts>) {
    match mounts {
        Some(mounts) => mounts.changed().await,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Duration};

    use nix::{
        mount::{MsFlags, mount, umount},
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    use tokio::{runtime, signal::unix::SignalKind, time::timeout};

    use super::*;

    const NONE: Option<&str> = None;

    /// Runs this where the kernel gives no inotify instance (`fs.inotify.max_user_instances`).
    fn without_inotify(run: impl FnOnce() + Send) {
        let refuse = seccompiler::SeccompFilter::new(
            [(libc::SYS_inotify_init1, Vec::new())].into(),
            seccompiler::SeccompAction::Allow,
            seccompiler::SeccompAction::Errno(libc::EMFILE.cast_unsigned()),
            std::env::consts::ARCH.try_into().expect("it has seccomp"),
        );
        let refuse: seccompiler::BpfProgram =
            refuse.expect("a filter").try_into().expect("a program");
        let thread = || {
            // Of this thread alone.
            seccompiler::apply_filter(&refuse).expect("the kernel takes it");
            run();
        };
        thread::scope(|scope| scope.spawn(thread).join()).expect("it ends well");
    }

    #[test]
    fn a_policy_that_cannot_be_watched_is_read_again_at_a_hangup() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.toml");
        fs::write(&file, "").expect("it is ours");
        without_inotify(|| {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let hangup = unix::signal(SignalKind::hangup()).expect("a signal");
                let mut source = Source::new(Some(file.clone()));
                source.read().expect("it is right");
                let (orders, mut received) = mpsc::unbounded_channel();
                let Some(Notice::PolicyNotWatched { error }) = follow(source, hangup, orders)
                else {
                    panic!("it is not said");
                };
                assert!(error.contains("fs.inotify.max_user_instances"), "{error}");
                // The first is noticed as what has changed before it was followed; the second by nothing but the hangup.
                for zones in 1..3 {
                    let zone =
                        |number| format!("[zone.z{number}]\ninterfaces = [\"fab{number}\"]\n");
                    let text: String = (0..zones).map(zone).collect();
                    fs::write(&file, text).expect("it is ours");
                    if zones == 2 {
                        kill(Pid::this(), Signal::SIGHUP).expect("it is this process");
                    }
                    let Some(Order::Policy(policy)) = received.recv().await else {
                        panic!("it is not read");
                    };
                    assert_eq!(policy.zones.len(), zones);
                }
            });
        });
    }

    #[tokio::test]
    async fn a_directory_that_is_replaced_far_above_the_policy_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("old/a", ""),
            ("new/a", "[zone.z]\ninterfaces = [\"fab0\"]\n"),
        ] {
            fs::create_dir_all(at(name).join("b")).expect("folders");
            fs::write(at(name).join("b/policy.toml"), text).expect("it is ours");
        }
        let mut source = Source::new(Some(at("old/a/b/policy.toml")));
        source.read().expect("it is right");
        let hangup = unix::signal(SignalKind::hangup()).expect("a signal");
        let (orders, mut received) = mpsc::unbounded_channel();
        assert_eq!(follow(source, hangup, orders), None);
        // It has looked whether there was a change, and waits for one.
        tokio::task::yield_now().await;
        fs::rename(at("old/a"), at("old/before")).expect("it is ours");
        fs::rename(at("new/a"), at("old/a")).expect("it is ours");
        assert_eq!(zones_of_next(&mut received).await, 1);
    }

    /// How many zones the next policy has that is right.
    async fn zones_of_next(received: &mut mpsc::UnboundedReceiver<Order>) -> usize {
        let read = async {
            loop {
                match received.recv().await.expect("it goes on") {
                    Order::Policy(policy) => break policy.zones.len(),
                    // Between two, there may be none.
                    Order::WrongPolicy(_) => {}
                    _ => panic!("it is no policy"),
                }
            }
        };
        let zones = timeout(Duration::from_secs(30), read).await;
        zones.expect("it is noticed")
    }

    #[tokio::test]
    async fn what_is_mounted_over_the_policys_directory_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("etc", ""),
            ("config", "[zone.z]\ninterfaces = [\"fab0\"]\n"),
        ] {
            fs::create_dir(at(name)).expect("a folder");
            fs::write(at(name).join("policy.toml"), text).expect("it is ours");
        }
        let mut source = Source::new(Some(at("etc/policy.toml")));
        source.read().expect("it is right");
        let hangup = unix::signal(SignalKind::hangup()).expect("a signal");
        let (orders, mut received) = mpsc::unbounded_channel();
        assert_eq!(follow(source, hangup, orders), None);
        tokio::task::yield_now().await;
        let bind = MsFlags::MS_BIND;
        mount(Some(&at("config")), &at("etc"), NONE, bind, NONE).expect("this needs root");
        let mounted = zones_of_next(&mut received).await;
        // What is written there is noticed from then on.
        fs::write(at("config/policy.toml"), "").expect("it is ours");
        let written = zones_of_next(&mut received).await;
        umount(&at("etc")).expect("it is mounted");
        assert_eq!((mounted, written), (1, 0));
    }
}
