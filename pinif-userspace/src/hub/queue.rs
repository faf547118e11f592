//! A subscriber's queue: bounded, and never waited for by whoever fills it.
//!
//! A finding stands in it once, at its first event that was not taken, with what is known of it last: however fast it grows,
//! the bound is the number of findings.

use std::{
    collections::VecDeque,
    fmt,
    hash::BuildHasher as _,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hashbrown::{DefaultHashBuilder, HashTable};
use tokio::sync::Notify;

use super::{
    bounds::{self, Bounds, bytes},
    event::{Change, Event},
    snapshot::Snapshot,
    subscriber::{Delivery, Subscriber},
};
use crate::findings::finding::{Finding, FindingId};

/// How much later than the last one an event is at least that goes past the queue: what comes in a burst is the thread's work.
const AT_ONCE_EACH: Duration = Duration::from_millis(1);

/// A queue between the collector and one subscriber.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    bounds: Bounds,
    /// Something came, or it is closed: for a thread that waits.
    changed: Condvar,
    /// The same, for a task.
    came: Notify,
    /// All that was in it is taken.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// The findings among the items, by their ids.
    findings: HashTable<Waiting>,
    hasher: DefaultHashBuilder,
    /// How many of the items are events.
    events: usize,
    /// What the bounds count of all that waits.
    bytes: usize,
    snapshot: Option<Arc<Snapshot>>,
    /// The subscriber, while its thread waits for something to take.
    idle: Idle,
    /// Nothing comes any more.
    is_closed: bool,
}

/// A subscriber whose thread waits.
#[derive(Default)]
struct Idle {
    subscriber: Option<Box<dyn Subscriber>>,
    /// When it last took an event at once.
    took: Option<Instant>,
}

/// What stands in the queue: two words.
#[derive(Debug)]
enum Item {
    Event(Box<Event>),
    /// The finding with this id.
    Finding(FindingId),
    /// So many that came here found no room.
    Missed(u64),
}

/// A finding as it is known last, and what is new of it.
#[derive(Debug)]
struct Waiting(Arc<Finding>, Change);

impl Queue {
    /// An empty one with these bounds.
    pub fn within(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    /// Puts an event in, or counts that there is no room for it. Where nothing waits, the subscriber may take it at once: that saves
    /// waking its thread.
    pub fn push(&self, event: Event) {
        let mut state = self.lock();
        if state.is_closed || state.is_taken_at_once(&event) {
            return;
        }
        state.push(event, &self.bounds);
        drop(state);
        self.wake();
    }

    /// Puts the newest snapshot in, in the place of one that waits. It is taken after all that waits.
    pub fn replace(&self, snapshot: Arc<Snapshot>) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        state.snapshot = Some(snapshot);
        drop(state);
        self.wake();
    }

    /// Waits for the next delivery. Nothing, once the queue is closed and empty. The subscriber is in the queue's hands while this
    /// waits, and only then.
    pub fn next(&self, subscriber: &mut Option<Box<dyn Subscriber>>) -> Option<Delivery> {
        let mut state = self.lock();
        loop {
            if let Some(delivery) = self.pop(&mut state) {
                return Some(delivery);
            }
            if state.is_closed {
                return None;
            }
            state.idle.subscriber = subscriber.take();
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            *subscriber = state.idle.subscriber.take();
        }
    }

    /// The next delivery, for a task that waits for it. Nothing, once the queue is closed and empty.
    pub async fn taken(&self) -> Option<Delivery> {
        loop {
            // Before the look, so that what comes after it wakes this.
            let came = self.came.notified();
            {
                let mut state = self.lock();
                if let Some(delivery) = self.pop(&mut state) {
                    return Some(delivery);
                }
                if state.is_closed {
                    return None;
                }
            }
            came.await;
        }
    }

    fn pop(&self, state: &mut State) -> Option<Delivery> {
        let delivery = state.pop()?;
        if state.items.is_empty() {
            self.emptied.notify_waiters();
        }
        Some(delivery)
    }

    fn wake(&self) {
        self.changed.notify_one();
        self.came.notify_one();
    }

    /// Ready once all events that are in it are taken, or there is no subscriber any more.
    pub async fn empty(&self) {
        loop {
            // Before the look, so that what is taken after it wakes this.
            let emptied = self.emptied.notified();
            if self.lock().items.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Lets nothing more in. What is in it can still be taken.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.wake();
    }

    /// Drops what is in it, and all that comes: there is no subscriber any more.
    pub fn abandon(&self) {
        let mut state = self.lock();
        *state = State {
            is_closed: true,
            idle: std::mem::take(&mut state.idle),
            ..State::default()
        };
        self.emptied.notify_waiters();
    }

    /// How many deliveries wait, and how many events found no room.
    pub fn waiting(&self) -> u64 {
        let items = &self.lock().items;
        items.iter().map(Item::count).sum()
    }

    /// Has a subscriber in it, as while its thread waits.
    #[cfg(test)]
    pub fn wait_with(&self, subscriber: Box<dyn Subscriber>) {
        self.lock().idle.subscriber = Some(subscriber);
    }

    /// How many bytes it takes, without what others share.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        let state = self.lock();
        let items = state.items.capacity() * size_of::<Item>();
        items + state.findings.allocation_size() + state.events * size_of::<Event>()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Item {
    /// How many events it stands for.
    fn count(&self) -> u64 {
        match self {
            Self::Event(_) | Self::Finding(_) => 1,
            Self::Missed(events) => *events,
        }
    }
}

fn is(id: FindingId) -> impl Fn(&Waiting) -> bool {
    move |waiting| waiting.0.id == id
}

impl fmt::Debug for Idle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.subscriber.as_ref().map(|subscriber| subscriber.name());
        formatter.debug_tuple("Idle").field(&name).finish()
    }
}

impl Idle {
    fn takes_at_once(&mut self, event: &Event) -> bool {
        let Some(subscriber) = &mut self.subscriber else {
            return false;
        };
        let now = Instant::now();
        let is_burst = |took| now.duration_since(took) < AT_ONCE_EACH;
        let is_taken = !self.took.is_some_and(is_burst) && subscriber.takes_at_once(event);
        if is_taken {
            self.took = Some(now);
        }
        is_taken
    }
}

impl State {
    /// Whether the subscriber has taken it, after all that came before it.
    fn is_taken_at_once(&mut self, event: &Event) -> bool {
        self.items.is_empty() && self.snapshot.is_none() && self.idle.takes_at_once(event)
    }

    fn push(&mut self, event: Event, bounds: &Bounds) {
        let size = bytes(&event);
        let has_room = self.bytes.saturating_add(size) <= bounds.bytes;
        let Event::Finding(finding, change) = event else {
            // The end is not one of many, and everybody waits for it.
            let is_full = self.events >= bounds.events || !has_room;
            if is_full && !matches!(event, Event::Ended(_)) {
                return self.miss();
            }
            self.events += 1;
            self.bytes += size;
            self.put(Item::Event(Box::new(event)));
            return;
        };
        let id = finding.id;
        let hash = self.hasher.hash_one(id);
        if let Some(Waiting(waiting, so_far)) = self.findings.find_mut(hash, is(id)) {
            let others = self.bytes - bounds::of_finding(waiting);
            if others + size > bounds.bytes {
                // It has seen more by now than there is room for. What waits of it stays.
                return self.miss();
            }
            self.bytes = others + size;
            *waiting = finding;
            *so_far = change.max(*so_far);
        } else if self.findings.len() >= bounds.findings || !has_room {
            self.miss();
        } else {
            self.bytes += size;
            self.put(Item::Finding(id));
            let hasher = &self.hasher;
            let rehash = |waiting: &Waiting| hasher.hash_one(waiting.0.id);
            self.findings
                .insert_unique(hash, Waiting(finding, change), rehash);
        }
    }

    fn miss(&mut self) {
        match self.items.back_mut() {
            Some(Item::Missed(events)) => *events += 1,
            _ => self.put(Item::Missed(1)),
        }
    }

    fn put(&mut self, item: Item) {
        if self.items.len() == self.items.capacity() {
            // Less than twice as much, which would be half of the bound for nothing.
            self.items.reserve_exact(self.items.len() / 8 + 16);
        }
        self.items.push_back(item);
    }

    fn pop(&mut self) -> Option<Delivery> {
        loop {
            let Some(item) = self.items.pop_front() else {
                return self.snapshot.take().map(Delivery::Snapshot);
            };
            return Some(match item {
                Item::Event(event) => {
                    self.events -= 1;
                    self.bytes -= bytes(&event);
                    Delivery::Event(*event)
                }
                Item::Finding(id) => {
                    let hash = self.hasher.hash_one(id);
                    let Ok(waiting) = self.findings.find_entry(hash, is(id)) else {
                        continue;
                    };
                    let (Waiting(finding, change), _) = waiting.remove();
                    self.bytes -= bounds::of_finding(&finding);
                    Delivery::Event(Event::Finding(finding, change))
                }
                Item::Missed(events) => Delivery::Missed(events),
            });
        }
    }
}
