//! Who asks an auditor over its control socket, in as few steps as there can be: what they cost themselves is not to be measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::auditor::Line;
use crate::clock;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is asked for by a reader, as `pinif top` and the page do.
const EVENTS: &str = "/v1/events?snapshots=true";

/// The body of an answer, on a connection of its own.
///
/// # Errors
/// Where there is none, or it refuses.
pub fn ask(socket: &Path, target: &str) -> Result<Vec<u8>> {
    let mut stream = begin(socket, target)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = memchr::memmem::find(&answer, b"\r\n\r\n").context("an answer has no end")?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200 "),
        "GET {target}: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(answer.split_off(end + 4))
}

fn begin(socket: &Path, target: &str) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).context("the auditor cannot be asked")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n"
    )?;
    Ok(stream)
}

/// A reader that follows events, and reads all; it leaves when dropped.
#[derive(Debug)]
pub struct Reader {
    stream: UnixStream,
    first: usize,
    lines: Receiver<Line>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Follows, and waits for the first line. Only one that `keeps` them has lines afterwards.
    ///
    /// # Errors
    /// Where it may not.
    pub fn follow(socket: &Path, keeps: bool) -> Result<Self> {
        let (mut reader, stream, first) = first_line(socket)?;
        let (sender, lines) = channel();
        let thread = thread::spawn(move || read(&mut reader, keeps.then_some(&sender)));
        Ok(Self {
            stream,
            first,
            lines,
            thread: Some(thread),
        })
    }

    /// How long its first line was, in bytes.
    pub fn first(&self) -> usize {
        self.first
    }

    /// Its next line.
    ///
    /// # Errors
    /// Where none comes for long.
    pub fn next_line(&mut self) -> Result<Line> {
        let line = self.lines.recv_timeout(PATIENCE);
        line.context("no event comes")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ended = self.stream.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _joined = thread.join();
        }
    }
}

/// A reader that follows events, and stands still after the first.
#[derive(Debug)]
pub struct Stopped(BufReader<UnixStream>);

impl Stopped {
    /// Follows, and waits for the first line.
    ///
    /// # Errors
    /// Where it may not.
    pub fn follow(socket: &Path) -> Result<Self> {
        Ok(Self(first_line(socket)?.0))
    }

    /// Reads on until it has caught up, and returns how many lines it learns that it missed.
    ///
    /// # Errors
    /// Where no line comes.
    pub fn missed(&mut self) -> Result<u64> {
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(self.0.read_line(&mut line)? > 0, "there are no more events");
            if line.contains(r#""type":"lost""#) {
                let lost: serde_json::Value = serde_json::from_str(&line)?;
                return lost["lines"].as_u64().context("no number of lines");
            }
        }
    }
}

/// A connection that follows events, another handle of it, and how long the first line was.
fn first_line(socket: &Path) -> Result<(BufReader<UnixStream>, UnixStream, usize)> {
    let stream = begin(socket, EVENTS)?;
    let other = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains(r#""type":"status""#) {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            bail!("the auditor says nothing of events");
        }
    }
    Ok((reader, other, line.len()))
}

/// Reads lines until the end, each with the moment at which it was there. The lengths of chunks in between are none.
fn read(reader: &mut BufReader<UnixStream>, sender: Option<&Sender<Line>>) {
    let mut text = String::new();
    while matches!(reader.read_line(&mut text), Ok(1..)) {
        let read = clock::now();
        if let (Some(sender), true) = (sender, text.starts_with('{')) {
            let text = text.clone();
            if sender.send(Line { read, text }).is_err() {
                return;
            }
        }
        text.clear();
    }
}
