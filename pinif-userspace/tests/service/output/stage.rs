//! Streams that can be looked at, a clock that stands, and the sinks on them.
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinif_userspace::findings::alert_state::AlertState;
use pinif_userspace::findings::finding::Finding;
use pinif_userspace::findings::ready::Ready;
use pinif_userspace::findings::summary::Summary;
use pinif_userspace::hub::Change;
use pinif_userspace::surfaces::Surface;
use pinif_userspace::surfaces::human::{Human, Now};
use pinif_userspace::surfaces::json::Json;
use pinif_userspace::surfaces::look::Look;
use pinif_userspace::surfaces::notes::Notes;
use pinif_userspace::surfaces::output::{Output, WithoutReader};

use super::story;

/// A stream that keeps each write apart.
#[derive(Clone, Debug, Default)]
pub struct Stream(Arc<Mutex<Vec<Vec<u8>>>>);

impl Stream {
    pub fn writes(&self) -> Vec<String> {
        let writes = self.0.lock().expect("no test panicked with it");
        writes
            .iter()
            .map(|bytes| String::from_utf8(bytes.clone()).expect("UTF-8"))
            .collect()
    }

    pub fn text(&self) -> String {
        self.writes().concat()
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("no test panicked with it")
            .push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream whose reader has gone.
#[derive(Debug)]
pub struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A clock that moves when a test moves it, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    pub fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    /// The same, and the wall clock's, on which it is two seconds past noon at the start.
    pub fn wall(&self) -> impl Fn() -> Now + Send + 'static {
        let since = self.reader();
        move || Now {
            since: since(),
            wall: story::noon(2_000_000) + since(),
        }
    }

    pub fn reader(&self) -> impl Fn() -> Duration + Send + 'static {
        let clock = self.0.clone();
        move || Duration::from_secs(clock.load(Ordering::Relaxed))
    }
}

/// The finding with other counts, as the ledger reports it again.
pub fn grown(finding: &Finding, packets: u64, bytes: u64) -> Finding {
    let mut samples = finding.samples.as_deref().cloned().expect("it has some");
    samples.processes.samples[0].packets = packets;
    samples.sockets.samples[0].packets = packets;
    samples.destinations.samples[0].packets = packets;
    Finding {
        packets,
        bytes,
        samples: Some(Arc::new(samples)),
        revision: finding.revision + packets.ilog2(),
        last_seen: story::noon(1_800_000 + u64::from(packets.ilog2())).into(),
        ..finding.clone()
    }
}

/// The events of the leaking card.
pub fn leaking(sink: &mut dyn Surface) -> io::Result<()> {
    let (device, address) = (story::device_escape(), story::address_escape());
    sink.ready(&story::ready())?;
    sink.finding(&device, Change::Opened)?;
    sink.finding(&grown(&device, 104, 6864), Change::Grew)?;
    sink.finding(&address, Change::Opened)?;
    sink.finding(&grown(&address, 12, 5180), Change::Grew)?;
    sink.finding(&grown(&device, 1040, 68_640), Change::Grew)?;
    sink.summary(&story::leaking_summary())
}

/// A finding that is quiet, and open again.
pub fn states(sink: &mut dyn Surface) -> io::Result<()> {
    let device = grown(&story::device_escape(), 1040, 68_640);
    let quiet = Finding {
        state: AlertState::Quiet,
        last_seen: story::noon(1_900_000).into(),
        ..device.clone()
    };
    sink.finding(&quiet, Change::StateChanged)?;
    sink.finding(&grown(&device, 1041, 68_706), Change::StateChanged)
}

/// The same card while leaks are dropped.
pub fn enforced(sink: &mut dyn Surface) -> io::Result<()> {
    let (dropped, risk) = (story::dropped_escape(), story::address_escape());
    sink.ready(&Ready {
        enter: Default::default(),

        enforce: true,
        ..story::ready()
    })?;
    sink.finding(&dropped, Change::Opened)?;
    sink.finding(&grown(&risk, 12, 5180), Change::Opened)?;
    sink.finding(&grown(&dropped, 1040, 68_640), Change::Grew)?;
    sink.summary(&story::enforced_summary())
}

/// A card on which nothing leaks.
pub fn contained(sink: &mut dyn Surface, summary: &Summary) -> io::Result<()> {
    sink.ready(&story::ready())?;
    sink.summary(summary)
}

/// What a file or a pipe answers.
pub fn no_terminal() -> Option<usize> {
    None
}

/// The sink for people, its output and its notes.
pub fn human(
    columns: fn() -> Option<usize>,
    colour: bool,
    clock: &Clock,
) -> (Human<Stream, Stream>, Stream, Stream) {
    let (out, notes) = (Stream::default(), Stream::default());
    let sink = Human::new(
        Output::new(out.clone(), WithoutReader::Ends),
        Notes::new(notes.clone()).within(columns),
        Look { colour },
        columns,
        clock.wall(),
    );
    (sink, out, notes)
}

/// The sink for programs, its output and its notes.
pub fn json() -> (Json<Stream, Stream>, Stream, Stream) {
    let (out, notes) = (Stream::default(), Stream::default());
    (
        Json::new(
            Output::new(out.clone(), WithoutReader::Ends),
            Notes::new(notes.clone()),
        ),
        out,
        notes,
    )
}
