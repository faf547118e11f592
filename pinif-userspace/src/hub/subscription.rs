//! The subscriber's end of its queue.

use std::{io, sync::Arc};

use super::{
    queue::Queue,
    subscriber::{Delivery, Subscriber},
};
use crate::text::streams::is_closed;

/// A subscription: it ends when the hub closes it.
#[derive(Debug)]
pub struct Subscription(Arc<Queue>);

/// How a subscriber has ended.
#[derive(Debug)]
pub struct Outcome {
    /// Why it ended before the hub closed its subscription.
    pub error: Option<io::Error>,
    /// How many lines it could not show.
    pub lost: u64,
}

impl Outcome {
    /// Whether it ended because its reader has left.
    pub fn has_left(&self) -> bool {
        self.error.as_ref().is_some_and(is_closed)
    }
}

impl Subscription {
    /// A new one, and the queue that is filled for it.
    pub fn new() -> (Self, Arc<Queue>) {
        let queue = Arc::new(Queue::default());
        (Self(Arc::clone(&queue)), queue)
    }

    /// Hands over all that comes, until the subscription is closed or the subscriber fails.
    pub fn serve(self, subscriber: Box<dyn Subscriber>) -> Outcome {
        let mut missed = 0;
        let mut error = None;
        let mut subscriber = Some(subscriber);
        while let Some(delivery) = self.0.next(&mut subscriber) {
            if let Delivery::Missed(events) = delivery {
                missed += events;
            }
            let taken = subscriber
                .as_mut()
                .map_or(Ok(()), |subscriber| subscriber.on(&delivery));
            if let Err(failure) = taken {
                error = Some(failure);
                break;
            }
        }
        let lost = subscriber.map_or(0, |subscriber| subscriber.lost());
        // What it failed at, and what it would have got after that.
        let waiting = error.as_ref().map_or(0, |_| 1 + self.0.waiting());
        Outcome {
            lost: lost + missed + waiting,
            error,
        }
    }
}
