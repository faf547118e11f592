use std::{io::Write as _, os::unix::net::UnixStream as Stream};

use tokio::{sync::mpsc, task::yield_now};

use super::*;
use crate::{
    collector::plan::{Order, Question},
    control::{Collector, Sockets, protocol::EventLine},
    findings::{example, memory::held, ready::Attach, samples::Samples, summary::Summary},
    hub::{Change, Event, Hub, Snapshot},
};

const EVENTS: &[u8] = b"GET /v1/events HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n";

/// Publishes as many findings, while the server runs beside it.
async fn grow(hub: &Hub, samples: impl Fn() -> Option<Samples>) {
    let base = example::finding(0);
    for id in 0..20_000 {
        let finding = example::like(&base, id, samples());
        hub.publish(Event::Finding(Arc::new(finding), Change::Grew));
        // It takes what it has room for on its way to the reader.
        yield_now().await;
    }
}

/// Reads what is there, as soon as something is: how many bytes, and none at the end.
async fn read(stream: &UnixStream, text: &mut String) -> usize {
    let mut bytes = [0; 4096];
    loop {
        stream.readable().await.expect("a socket");
        if let Ok(number) = stream.try_read(&mut bytes) {
            *text += &String::from_utf8_lossy(&bytes[..number]);
            return number;
        }
    }
}

#[test]
fn a_reader_that_stands_still_costs_at_most_a_mebibyte_and_learns_what_it_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let listener = Listener::bind(&path).expect("a socket");
    listener.set_nonblocking(true).expect("a socket");
    let hub = Hub::new();
    hub.publish(Event::Ready(Arc::new(example::ready())));
    let (orders, mut asked) = mpsc::unbounded_channel();
    let sources = Sources {
        collector: Collector::new(orders),
        hub: Arc::downgrade(&hub),
        words: |_| Vec::new(),
        beside: None,
        metrics: |_, _| ("text/plain", String::new()),
        sockets: Sockets::default(),
    };
    let (_stop, stopped) = watch::channel(false);
    let collector = async {
        while let Some(Order::Ask(Question::Snapshot(reply))) = asked.recv().await {
            let _ = reply.send(Arc::new(Snapshot::empty(1, Attach::Tcx)));
        }
    };
    let reader = async {
        let mut stream = Stream::connect(&path).expect("it listens");
        stream.write_all(EVENTS).expect("it is taken");
        stream.set_nonblocking(true).expect("a socket");
        let stream = UnixStream::from_std(stream).expect("a socket");
        let mut text = String::new();
        while !text.contains("\"type\":\"status\"") {
            assert_ne!(read(&stream, &mut text).await, 0, "{text}");
        }
        text.clear();
        let before = held();
        grow(&hub, || None).await;
        // As large as they get, of those that wait already.
        grow(&hub, || Some(example::samples())).await;
        let costs = held() - before;
        assert!(costs < 1 << 20, "{costs} bytes");

        hub.publish(Event::Ended(Arc::new(Summary::default())));
        hub.close(std::future::pending()).await;
        while read(&stream, &mut text).await > 0 {}
        text
    };
    // All on this thread, whose memory is counted.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let text = runtime.expect("a runtime").block_on(async {
        tokio::select! {
            text = reader => text,
            _ = serve(listener, sources, stopped) => unreachable!("nothing stops it"),
            () = collector => unreachable!("it may always be asked"),
        }
    });
    let (mut got, mut missed, mut ended) = (0, 0, false);
    // Between lines are the lengths of chunks.
    for line in text.lines().filter(|line| line.starts_with('{')) {
        match serde_json::from_str(line).expect("a line of events") {
            EventLine::Finding(_) => got += 1,
            EventLine::Lost(lost) => missed += lost.lines,
            EventLine::Summary(_) => ended = true,
            EventLine::Status(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(got > 100, "{got}");
    assert!(missed >= 20_000 - got, "{got} and {missed}");
    assert!(ended);
}
