//! Publishing: an event goes into the queue of each subscriber, and no subscriber is waited for.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, oneshot};

use super::{
    event::Event,
    follower::Follower,
    notice::Notice,
    queue::Queue,
    snapshot::Snapshot,
    subscriber::Subscriber,
    subscription::{Outcome, Subscription},
};
use crate::text::streams::is_closed;

/// How long the end waits for subscribers before it says so.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the events of one audit are published.
#[derive(Debug, Default)]
pub struct Hub {
    state: Mutex<State>,
    /// A subscriber's reader has left, and the audit is to end.
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    members: Vec<Member>,
    followers: Vec<Outside>,
    /// When a snapshot was published last.
    snapshot: Option<Instant>,
    /// Whether anything was published since then.
    has_news: bool,
    /// Findings that were published before they are shown ([`Hub::show_findings`]).
    early: Vec<Event>,
    shows_findings: bool,
    is_ready: bool,
}

/// A subscriber, as the hub has it.
#[derive(Debug)]
struct Member {
    name: &'static str,
    snapshots_within: Option<Duration>,
    queue: Arc<Queue>,
    /// Its outcome, once its thread has ended.
    ended: oneshot::Receiver<Outcome>,
}

/// The queue of a reader that comes and goes.
#[derive(Debug)]
struct Outside {
    queue: Weak<Queue>,
    wants_snapshots: bool,
}

impl Hub {
    /// A hub without subscribers.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a subscriber, on a thread of its own. It takes what is published from now on.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn add(self: &Arc<Self>, subscriber: Box<dyn Subscriber>) -> io::Result<()> {
        let (name, snapshots_within) = (subscriber.name(), subscriber.snapshots_within());
        let (subscription, queue) = Subscription::new();
        let (end, ended) = oneshot::channel();
        // Weak: the hub goes with the collector, and a thread that waits for its reader does not keep it.
        let hub = Arc::downgrade(self);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let outcome = subscription.serve(subscriber);
                let error = outcome.error.as_ref();
                if let (Some(error), Some(hub)) = (error, hub.upgrade()) {
                    hub.failed(name, error);
                }
                // Nobody waits for it where the audit has given it up.
                let _ = end.send(outcome);
            })?;
        self.lock().members.push(Member {
            name,
            snapshots_within,
            queue,
            ended,
        });
        Ok(())
    }

    /// Adds a reader that may leave at any time, and that the end does not wait for. It takes what is published from now on, and
    /// snapshots if it wants them.
    pub fn follow(&self, wants_snapshots: bool) -> Follower {
        let (follower, queue) = Follower::new();
        let queue = Arc::downgrade(&queue);
        self.lock().followers.push(Outside {
            queue,
            wants_snapshots,
        });
        follower
    }

    /// Publishes an event. It never waits. Findings that are published before [`Event::Ready`] follow it, unless they are shown before
    /// ([`Self::show_findings`]).
    pub fn publish(&self, event: Event) {
        let mut state = self.lock();
        match event {
            Event::Finding(..) if !state.shows_findings => state.early.push(event),
            Event::Ready(_) => {
                state.is_ready = true;
                state.deliver(event);
                state.show_findings();
            }
            _ => state.deliver(event),
        }
    }

    /// Whether the audit is ready: [`Event::Ready`] was published.
    pub fn is_ready(&self) -> bool {
        self.lock().is_ready
    }

    /// Shows findings from now on, also those of before, although the audit is not ready.
    pub fn show_findings(&self) {
        self.lock().show_findings();
    }

    /// Publishes events, one after another.
    pub fn publish_all(&self, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(|event| self.publish(event));
    }

    /// Publishes a notice.
    pub fn note(&self, notice: Notice) {
        self.publish(Event::Notice(Arc::new(notice)));
    }

    /// When a subscriber wants the next snapshot, which can be made no sooner than `earliest`: to make one costs something. A follower wants
    /// each that there can be; where nobody wants one, there is no time.
    pub fn snapshot_due(&self, earliest: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let followed = state.outside().any(|(_, wants)| wants);
        let members = state.members.iter();
        let within = members.filter_map(|member| member.snapshots_within).min();
        if within.is_none() && !followed {
            return None;
        }
        let Some(last) = state.snapshot.filter(|_| !followed && !state.has_news) else {
            return Some(earliest);
        };
        let due = within.and_then(|within| last.checked_add(within));
        due.map(|due| due.max(earliest))
    }

    /// Publishes a snapshot, for those that want it. One that is not taken yet gives way to it.
    pub fn publish_snapshot(&self, snapshot: &Arc<Snapshot>) {
        let mut state = self.lock();
        state.snapshot = Some(Instant::now());
        state.has_news = false;
        let members = state.members.iter();
        for member in members.filter(|member| member.snapshots_within.is_some()) {
            member.queue.replace(Arc::clone(snapshot));
        }
        for (queue, _) in state.outside().filter(|(_, wants)| *wants) {
            queue.replace(Arc::clone(snapshot));
        }
    }

    /// Ready once the reader of a subscriber has left, and the audit is to end for it.
    pub async fn reader_left(&self) {
        self.left.notified().await;
    }

    /// Ends all subscriptions after what was published, and waits until all of it is shown, or until `given_up` is ready. The
    /// answer is how many lines could not be shown; of a reader that left, none count, for it has read enough.
    pub async fn close(&self, given_up: impl Future<Output = ()>) -> u64 {
        tokio::pin!(given_up);
        let mut is_given_up = false;
        tokio::select! {
            biased;
            () = &mut given_up => is_given_up = true,
            () = self.taken() => {}
            () = tokio::time::sleep(PATIENCE) => {
                self.note(Notice::WaitsForReader);
            }
        }
        let members = std::mem::take(&mut self.lock().members);
        for member in &members {
            member.queue.close();
        }
        self.lock().outside().for_each(|(queue, _)| queue.close());
        let mut lost = 0;
        for Member {
            queue, mut ended, ..
        } in members
        {
            let outcome = if is_given_up {
                ended.try_recv().ok()
            } else {
                tokio::select! {
                    biased;
                    outcome = &mut ended => outcome.ok(),
                    () = &mut given_up => {
                        is_given_up = true;
                        None
                    }
                }
            };
            lost += match outcome {
                Some(outcome) if outcome.has_left() => 0,
                Some(outcome) => outcome.lost,
                None => queue.waiting(),
            };
        }
        lost
    }

    /// Ready once all that was published is taken.
    async fn taken(&self) {
        let queues: Vec<_> = self
            .lock()
            .members
            .iter()
            .map(|member| Arc::clone(&member.queue))
            .collect();
        for queue in queues {
            queue.empty().await;
        }
    }

    /// A subscriber has failed: its reader has left, or it is reported to the others.
    fn failed(&self, name: &'static str, error: &io::Error) {
        for member in &self.lock().members {
            if member.name == name {
                member.queue.abandon();
            }
        }
        if is_closed(error) {
            self.left.notify_one();
        } else {
            let error = error.to_string();
            self.note(Notice::SubscriberFailed { name, error });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn show_findings(&mut self) {
        self.shows_findings = true;
        for early in std::mem::take(&mut self.early) {
            self.deliver(early);
        }
    }

    fn deliver(&mut self, event: Event) {
        self.has_news = true;
        for member in &self.members {
            member.queue.push(event.clone());
        }
        for (queue, _) in self.outside() {
            queue.push(event.clone());
        }
    }

    /// The queues of the readers that are still there, and whether they want snapshots.
    fn outside(&mut self) -> impl Iterator<Item = (Arc<Queue>, bool)> {
        self.followers
            .retain(|follower| follower.queue.strong_count() > 0);
        let there = self.followers.iter();
        there.filter_map(|outside| Some((outside.queue.upgrade()?, outside.wants_snapshots)))
    }
}

impl Drop for Hub {
    /// Nothing comes any more: who waits for it ends.
    fn drop(&mut self) {
        let mut state = self.lock();
        for member in &state.members {
            member.queue.close();
        }
        state.outside().for_each(|(queue, _)| queue.close());
    }
}
