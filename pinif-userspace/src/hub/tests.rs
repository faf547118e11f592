//! What a subscriber takes, and that none of them matters to whoever publishes.

use std::{
    io,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use pinif_ebpf::loss::Loss;

use super::{bounds::Bounds, queue::Queue, *};
use crate::findings::{example, finding::Finding, ready::Attach, summary::Summary};

fn ready() -> Event {
    Event::Ready(Arc::new(example::ready()))
}

fn ended() -> Event {
    Event::Ended(Arc::new(Summary::default()))
}

fn finding(id: u64, packets: u64, change: Change) -> Event {
    let finding = Finding {
        packets,
        ..example::finding(id)
    };
    Event::Finding(Arc::new(finding), change)
}

/// What a delivery is, in short.
fn short(delivery: &Delivery) -> String {
    match delivery {
        Delivery::Missed(events) => format!("missed {events}"),
        Delivery::Snapshot(snapshot) => format!("snapshot {}", snapshot.seq),
        Delivery::Event(Event::Ready(_)) => "ready".to_owned(),
        Delivery::Event(Event::Finding(finding, change)) => {
            format!("{change:?} {:x} {}", finding.id.0, finding.packets)
        }
        Delivery::Event(Event::Uncounted(loss, number)) => format!("{} {number}", loss.name()),
        Delivery::Event(Event::Ended(_)) => "ended".to_owned(),
        Delivery::Event(other) => format!("{other:?}"),
    }
}

/// All that waits in a queue that is closed.
fn rest(queue: &Queue) -> Vec<String> {
    queue.close();
    std::iter::from_fn(|| queue.next(&mut None))
        .map(|delivery| short(&delivery))
        .collect()
}

#[test]
fn a_finding_that_grows_waits_once_with_what_is_known_last() {
    let queue = Queue::default();
    queue.push(ready());
    queue.push(finding(0xa, 1, Change::Opened));
    queue.push(finding(0xb, 1, Change::Opened));
    for packets in 2..1000 {
        queue.push(finding(0xa, packets, Change::Grew));
    }
    queue.push(finding(0xb, 1, Change::Refined));
    assert_eq!(rest(&queue), ["ready", "Opened a 999", "Opened b 1"]);
}

#[test]
fn one_that_was_taken_waits_again_as_it_has_grown() {
    let queue = Queue::default();
    queue.push(finding(0xa, 1, Change::Opened));
    assert_eq!(
        queue.next(&mut None).map(|next| short(&next)).as_deref(),
        Some("Opened a 1")
    );
    queue.push(finding(0xa, 2, Change::Grew));
    queue.push(finding(0xa, 2, Change::Refined));
    assert_eq!(rest(&queue), ["Refined a 2"]);
}

#[test]
fn what_finds_no_room_is_counted_where_it_is_missing_and_the_end_has_room() {
    let queue = Queue::default();
    let Bounds {
        events, findings, ..
    } = Bounds::SUBSCRIBER;
    for number in 0..events as u64 + 5 {
        queue.push(Event::Uncounted(Loss::Unparsed, number));
    }
    for number in 0..findings as u64 + 3 {
        queue.push(finding(number, 1, Change::Opened));
    }
    queue.push(ended());
    assert!(queue.bytes() <= 1 << 20, "{} bytes", queue.bytes());
    assert_eq!(queue.waiting(), (events + 5 + findings + 3 + 1) as u64);
    let rest = rest(&queue);
    assert_eq!(rest[events], "missed 5");
    assert_eq!(rest[rest.len() - 2..], ["missed 3", "ended"]);
    assert_eq!(rest.len(), events + 1 + findings + 2);
}

/// Takes at once what it can: of findings, those that are opened.
struct Prompt(mpsc::Sender<String>);

impl Subscriber for Prompt {
    fn name(&self) -> &'static str {
        "the prompt one"
    }

    fn on(&mut self, _: &Delivery) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn takes_at_once(&mut self, event: &Event) -> bool {
        let delivery = Delivery::Event(event.clone());
        matches!(event, Event::Finding(_, Change::Opened)) && self.0.send(short(&delivery)).is_ok()
    }
}

#[test]
fn what_is_taken_at_once_comes_after_all_that_waits_and_does_not_wait_itself() {
    let queue = Queue::default();
    let (sender, taken) = mpsc::channel();
    queue.wait_with(Box::new(Prompt(sender)));
    queue.push(finding(0xa, 1, Change::Opened));
    queue.push(finding(0xa, 2, Change::Grew));
    queue.push(finding(0xb, 1, Change::Opened));
    assert_eq!(taken.try_iter().collect::<Vec<_>>(), ["Opened a 1"]);
    assert_eq!(rest(&queue), ["Grew a 2", "Opened b 1"]);
}

/// Passes on what it takes, and waits before each for a permit, if it has to.
struct Reader {
    taken: mpsc::Sender<String>,
    permits: Option<mpsc::Receiver<()>>,
    fails: Option<io::ErrorKind>,
}

impl Subscriber for Reader {
    fn name(&self) -> &'static str {
        if self.fails.is_some() {
            "the one that fails"
        } else {
            "the reader"
        }
    }

    fn on(&mut self, delivery: &Delivery) -> io::Result<()> {
        if let Some(permits) = &self.permits {
            // The test has ended where there is none any more.
            let _ = permits.recv();
        }
        if let Some(kind) = self.fails {
            return Err(kind.into());
        }
        // Nobody looks at what it takes where the test does not.
        let _ = self.taken.send(short(delivery));
        Ok(())
    }
}

/// A subscriber, and what it takes; that ends when its thread does.
fn reader(
    permits: Option<mpsc::Receiver<()>>,
    fails: Option<io::ErrorKind>,
) -> (Box<Reader>, mpsc::Receiver<String>) {
    let (sender, taken) = mpsc::channel();
    let reader = Reader {
        taken: sender,
        permits,
        fails,
    };
    (Box::new(reader), taken)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn findings_of_before_ready_follow_it() -> io::Result<()> {
    let hub = Hub::new();
    let (subscriber, taken) = reader(None, None);
    hub.add(subscriber)?;
    hub.publish(finding(0xa, 1, Change::Opened));
    hub.publish(Event::Uncounted(Loss::Unparsed, 1));
    hub.publish(ready());
    hub.publish(ended());
    assert_eq!(run(hub.close(std::future::pending())), 0);
    let taken: Vec<String> = taken.iter().collect();
    assert_eq!(taken, ["unparsed 1", "ready", "Opened a 1", "ended"]);
    Ok(())
}

#[test]
fn one_that_stands_still_holds_up_nobody_and_is_given_up_with_what_it_lacks() -> io::Result<()> {
    let hub = Hub::new();
    let (permit, permits) = mpsc::channel();
    let (stands, _) = reader(Some(permits), None);
    let (reads, taken) = reader(None, None);
    hub.add(stands)?;
    hub.add(reads)?;
    hub.publish(ready());
    for packets in 1..=1000 {
        hub.publish(finding(0xa, packets, Change::Grew));
    }
    hub.publish(ended());
    // Until its end, the other one goes on to the last event.
    let last = taken.iter().find(|taken| taken == "ended");
    assert!(last.is_some());
    // It may have the first in its hands, which is not in the queue then.
    let lacks = run(hub.close(std::future::ready(())));
    assert!((2..=3).contains(&lacks), "{lacks}");
    drop(permit);
    Ok(())
}

#[test]
fn one_that_fails_ends_itself_and_is_reported_to_the_others() -> io::Result<()> {
    let hub = Hub::new();
    let (fails, _) = reader(None, Some(io::ErrorKind::PermissionDenied));
    let (reads, taken) = reader(None, None);
    hub.add(fails)?;
    hub.add(reads)?;
    hub.publish(ready());
    let first: Vec<String> = taken.iter().take(2).collect();
    assert_eq!(first[0], "ready");
    assert!(first[1].contains("SubscriberFailed") && first[1].contains("the one that fails"));
    hub.publish(ended());
    assert_eq!(
        run(hub.close(std::future::pending())),
        1,
        "what it failed at"
    );
    assert_eq!(taken.iter().collect::<Vec<_>>(), ["ended"]);
    Ok(())
}

#[test]
fn an_audit_ends_with_its_reader() -> io::Result<()> {
    let hub = Hub::new();
    let (leaves, _) = reader(None, Some(io::ErrorKind::BrokenPipe));
    hub.add(leaves)?;
    hub.publish(ready());
    run(hub.reader_left());
    hub.publish(finding(0xa, 1, Change::Opened));
    assert_eq!(run(hub.close(std::future::pending())), 0);
    Ok(())
}

#[test]
fn the_newest_snapshot_waits_alone_and_last() {
    let snapshot = |seq| Arc::new(Snapshot::empty(seq, Attach::Tcx));
    let queue = Queue::default();
    queue.replace(snapshot(1));
    queue.replace(snapshot(2));
    queue.push(ready());
    assert_eq!(rest(&queue), ["ready", "snapshot 2"]);
}

/// Takes snapshots, seldom.
struct Seldom;

const HOUR: Duration = Duration::from_secs(3600);

impl Subscriber for Seldom {
    fn name(&self) -> &'static str {
        "the one that seldom looks"
    }

    fn on(&mut self, _: &Delivery) -> io::Result<()> {
        Ok(())
    }

    fn snapshots_within(&self) -> Option<Duration> {
        Some(HOUR)
    }
}

#[test]
fn a_snapshot_is_due_once_something_is_new_or_it_is_old_or_followed() -> io::Result<()> {
    let hub = Hub::new();
    let (subscriber, _taken) = reader(None, None);
    hub.add(subscriber)?;
    let earliest = Instant::now();
    assert_eq!(hub.snapshot_due(earliest), None, "nobody takes one");
    hub.add(Box::new(Seldom))?;
    let is_due = || hub.snapshot_due(earliest) == Some(earliest);
    let snapshot = Arc::new(Snapshot::empty(1, Attach::Tcx));
    assert!(is_due(), "there was none yet");
    hub.publish_snapshot(&snapshot);
    let due = hub.snapshot_due(earliest).expect("it takes them");
    assert!(due > Instant::now() + HOUR / 2, "nothing is new");
    hub.publish(ready());
    assert!(is_due(), "something is new");
    hub.publish_snapshot(&snapshot);
    assert!(!is_due());
    let follower = hub.follow(false);
    assert!(!is_due());
    drop(follower);
    let _follower = hub.follow(true);
    assert!(is_due(), "each that there can be");
    hub.publish_snapshot(&snapshot);
    assert!(is_due());
    Ok(())
}
