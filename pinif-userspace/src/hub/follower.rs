//! A reader that comes and goes while the audit runs, as over the control socket. Nobody waits for it, not even at the end.

use std::sync::Arc;

use super::{bounds::Bounds, queue::Queue, subscriber::Delivery};

/// A subscription that a task reads. The hub forgets it when it is dropped.
#[derive(Debug)]
pub struct Follower(Arc<Queue>);

impl Follower {
    /// A new one, and the queue that is filled for it.
    pub(super) fn new() -> (Self, Arc<Queue>) {
        let queue = Arc::new(Queue::within(Bounds::READER));
        (Self(Arc::clone(&queue)), queue)
    }

    /// Waits for what comes next. Nothing, once the audit has ended and all of it is taken.
    pub async fn next(&mut self) -> Option<Delivery> {
        self.0.taken().await
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use super::super::{Change, Delivery, Event, Hub};
    use crate::findings::{example, finding::Finding, memory::held, summary::Summary};

    fn finding(id: u64, packets: u64) -> Event {
        let finding = Finding {
            packets,
            samples: Some(Arc::new(example::samples())),
            ..example::finding(id)
        };
        grew(finding)
    }

    fn grew(finding: Finding) -> Event {
        Event::Finding(Arc::new(finding), Change::Grew)
    }

    fn ready() -> Event {
        Event::Ready(Arc::new(example::ready()))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(future)
    }

    #[test]
    fn one_that_stands_still_costs_little_and_learns_what_it_missed() {
        let hub = Hub::new();
        hub.publish(ready());
        let mut follower = hub.follow(false);
        let base = example::finding(0);
        let before = held();
        // Small at first, and as large as they get once they wait.
        for id in 0..20_000 {
            hub.publish(grew(example::like(&base, id, None)));
        }
        for id in 0..20_000 {
            hub.publish(grew(example::like(&base, id, Some(example::samples()))));
        }
        let costs = held() - before;
        assert!(costs < 1 << 20, "{costs} bytes");
        hub.publish(Event::Ended(Arc::new(Summary::default())));
        let (mut got, mut missed, mut ended) = (0, 0, false);
        run(async {
            while !ended {
                match follower.next().await {
                    Some(Delivery::Event(Event::Finding(..))) => got += 1,
                    Some(Delivery::Missed(events)) => missed += events,
                    Some(Delivery::Event(Event::Ended(_))) => ended = true,
                    other => panic!("{other:?}"),
                }
            }
        });
        assert!(got > 100, "{got}");
        assert!(missed >= 20_000 - got, "{got} and {missed}");
        assert!(held() - before < 256 << 10, "{}", held() - before);
    }

    #[test]
    fn one_that_reads_gets_all_and_the_end() {
        let hub = Hub::new();
        hub.publish(ready());
        let mut follower = hub.follow(false);
        let reads = async {
            let mut packets = Vec::new();
            while let Some(delivery) = follower.next().await {
                if let Delivery::Event(Event::Finding(finding, _)) = delivery {
                    packets.push(finding.packets);
                }
            }
            packets
        };
        let publishes = async {
            for packets in 1..=3 {
                hub.publish(finding(packets, packets));
                tokio::task::yield_now().await;
            }
            hub.close(std::future::pending()).await
        };
        let (packets, lost) = run(async { tokio::join!(reads, publishes) });
        assert_eq!((packets, lost), (vec![1, 2, 3], 0));
    }

    #[test]
    fn nobody_waits_for_one_and_one_that_left_is_forgotten() {
        let hub = Hub::new();
        hub.publish(ready());
        let follower = hub.follow(true);
        assert!(hub.snapshot_due(Instant::now()).is_some());
        hub.publish(finding(7, 1));
        // The end does not wait for it.
        assert_eq!(run(hub.close(std::future::pending())), 0);
        drop(follower);
        assert!(hub.snapshot_due(Instant::now()).is_none());
    }
}
