//! The standard streams of a command, which whoever reads them may close, and whose disk may be full.

use std::{
    io::{self, Write as _},
    os::fd::AsFd,
};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{Interest, unix::AsyncFd};

use super::{escape::visible, words::wrapped};

/// How many columns the terminal has now; `None` where the stream is none.
pub fn columns(stream: impl AsFd) -> Option<usize> {
    terminal_size::terminal_size_of(stream)
        .map(|(columns, _)| usize::from(columns.0))
        .filter(|columns| *columns > 0)
}

/// The line, broken between words where the stream's terminal ends.
pub fn fitted(line: &str, stream: impl AsFd) -> String {
    match columns(stream) {
        Some(columns) => wrapped(line, columns, 0),
        None => line.to_owned(),
    }
}

/// Prints an answer on standard output: lines that are safe to show. Whoever reads it may read no further, as in
/// `pinif sockets | head -1`.
///
/// # Errors
///
/// When it cannot be written, as on a full disk.
pub fn answer(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    unless_closed(written).context(UNWRITTEN)
}

/// Writes lines that are safe to show on standard output, now.
///
/// # Errors
///
/// When it cannot be written, also since nobody reads on ([`is_closed`]).
pub fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context(UNWRITTEN)
}

/// Prints on standard output what was done, in one line. It is done, whoever reads of it: where standard output cannot be
/// written to, standard error has the line.
pub fn done(what: &str) {
    let written = writeln!(io::stdout(), "{}", fitted(&visible(what), io::stdout()));
    if let Err(error) = unless_closed(written) {
        note(&format!("{what} ({UNWRITTEN}: {error})"));
    }
}

/// Prints a line on standard error. Where that cannot be written to, the command goes on all the same.
pub fn note(what: &str) {
    let line = format!("pinif: {}", visible(what));
    let _ = writeln!(io::stderr(), "{}", fitted(&line, io::stderr()));
}

/// For the beginning of an error.
pub const UNWRITTEN: &str = "standard output cannot be written to";

/// Whether the error says no more than that nobody reads on, as in `pinif audit | head -1`.
pub fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// The outcome of writing, where it is no error that nobody reads on.
///
/// # Errors
///
/// Any other.
pub fn unless_closed(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if is_closed(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Whether its terminal has hung up, or its other end is closed (`POLLHUP`, `POLLERR`: poll(2)).
pub fn has_hung_up(stream: impl AsFd) -> bool {
    let mut asked = [PollFd::new(&stream, PollFlags::empty())];
    let now = Timespec::default();
    poll(&mut asked, Some(&now)).is_ok()
        && asked[0]
            .revents()
            .intersects(PollFlags::HUP | PollFlags::ERR)
}

/// Ready once standard output is closed at its other end: the last reader of a pipe has gone, or the terminal has hung up
/// (`EPOLLERR`: epoll(7), pipe(7)). A program that has nothing to write would never learn it from a write. Never ready, where it
/// is a file. Within a tokio runtime.
pub async fn closed() {
    // SAFETY: the descriptor is standard output's, which stays open and the same for as long as the process runs.
    let output = unsafe { AsyncFd::register_with_interest(io::stdout(), Interest::ERROR) };
    // Of a file, epoll wants to know nothing.
    if let Ok(output) = output
        && output.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
