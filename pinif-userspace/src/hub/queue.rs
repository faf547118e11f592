//! A subscriber's queue: bounded, and never waited for by whoever fills it.
//!
//! A finding stands in it once, at its first event that was not taken, with what is known of it last: however fast it grows,
//! the bound is the number of findings.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{
    event::{Change, Event},
    subscription::Delivery,
};
use crate::findings::finding::Finding;

/// How many events that are no findings wait at most.
pub const MAX_EVENTS: usize = 1024;
/// How many findings wait at most: as many as the kernel's table holds.
pub const MAX_FINDINGS: usize = 16_384;

/// A queue between the collector and one subscriber.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// The findings among the items, by their ids.
    findings: HashMap<Id, (Arc<Finding>, Change)>,
    /// How many of the items are events.
    events: usize,
    /// Nothing comes any more.
    is_closed: bool,
    /// Nobody takes anything any more.
    is_abandoned: bool,
}

#[derive(Debug)]
enum Item {
    Event(Event),
    Finding(Id),
    /// So many that came here found no room.
    Missed(u64),
}

/// What a finding is told from others by.
type Id = String;

impl Queue {
    /// Puts an event in, or counts that there is no room for it.
    pub fn push(&self, event: Event) {
        let mut state = self.lock();
        if state.is_closed || state.is_abandoned {
            return;
        }
        state.push(event);
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for the next delivery. Nothing, once the queue is closed and empty.
    pub fn next(&self) -> Option<Delivery> {
        let mut state = self.lock();
        loop {
            if let Some(delivery) = state.pop() {
                return Some(delivery);
            }
            if state.is_closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets nothing more in. What is in it can still be taken.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Drops what is in it, and all that comes: nobody takes it any more.
    pub fn abandon(&self) {
        let mut state = self.lock();
        *state = State {
            is_closed: true,
            is_abandoned: true,
            ..State::default()
        };
    }

    /// How many deliveries wait, and how many events found no room.
    pub fn waiting(&self) -> u64 {
        let items = &self.lock().items;
        items.iter().map(Item::count).sum()
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

impl State {
    fn push(&mut self, event: Event) {
        let Event::Finding(finding, change) = event else {
            // The end is not one of many, and everybody waits for it.
            if self.events >= MAX_EVENTS && !matches!(event, Event::Ended(_)) {
                return self.miss();
            }
            self.events += 1;
            self.items.push_back(Item::Event(event));
            return;
        };
        if let Some((waiting, so_far)) = self.findings.get_mut(&finding.id) {
            *waiting = finding;
            *so_far = change.max(*so_far);
        } else if self.findings.len() >= MAX_FINDINGS {
            self.miss();
        } else {
            self.items.push_back(Item::Finding(finding.id.clone()));
            self.findings.insert(finding.id.clone(), (finding, change));
        }
    }

    fn miss(&mut self) {
        match self.items.back_mut() {
            Some(Item::Missed(events)) => *events += 1,
            _ => self.items.push_back(Item::Missed(1)),
        }
    }

    fn pop(&mut self) -> Option<Delivery> {
        loop {
            return Some(match self.items.pop_front()? {
                Item::Event(event) => {
                    self.events -= 1;
                    Delivery::Event(event)
                }
                Item::Finding(id) => {
                    let Some((finding, change)) = self.findings.remove(&id) else {
                        continue;
                    };
                    Delivery::Event(Event::Finding(finding, change))
                }
                Item::Missed(events) => Delivery::Missed(events),
            });
        }
    }
}
