//! A connection at a Unix socket that wakes nobody for room to write, unless that is waited for.
//!
//! Each time that the peer reads, the kernel reports that there is room (`unix_write_space` of net/unix/af_unix.c), also where there was enough
//! before. A stream that is registered for it wakes its thread twice for each answer: to write it, and when it was read.

use std::{
    io::{self, IoSlice, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};

/// Such a connection.
#[derive(Debug)]
pub(super) struct SocketStream {
    /// Registered for what comes, and for the end.
    stream: AsyncFd<UnixStream>,
    /// The same, registered for room to write while that is waited for.
    full: Option<AsyncFd<UnixStream>>,
}

impl SocketStream {
    /// One that was accepted, and does not block. Within the tokio runtime that watches it.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch it.
    pub fn new(accepted: UnixStream) -> io::Result<Self> {
        Ok(Self {
            stream: register(accepted, Interest::READABLE)?,
            full: None,
        })
    }

    fn poll_written(
        &mut self,
        context: &mut Context<'_>,
        mut write: impl FnMut(&mut &UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write(&mut self.stream.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => {
                    self.full = None;
                    return Poll::Ready(written);
                }
            }
            let full = match &mut self.full {
                Some(full) => full,
                none => {
                    let same = self.stream.get_ref().try_clone()?;
                    none.insert(register(same, Interest::WRITABLE)?)
                }
            };
            // Before the next try, so that room that comes after it is reported.
            ready!(full.poll_write_ready(context))?.clear_ready();
        }
    }
}

fn register(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // SAFETY: the stream owns its descriptor, and neither closes nor changes it before it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(stream, interest) }?)
}

impl AsyncRead for SocketStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.stream.poll_read_ready(context))?;
            let read = guard.try_io(|stream| stream.get_ref().read(buffer.initialize_unfilled()));
            match read {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => {
                    buffer.advance(read?);
                    return Poll::Ready(Ok(()));
                }
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for SocketStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        stream.poll_written(context, |stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        stream.poll_written(context, |stream| stream.write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        thread,
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        runtime::{Builder, Runtime},
    };

    use super::*;

    /// A runtime, and how often its thread has waited for something.
    fn counted() -> (Runtime, Arc<AtomicU32>) {
        let waits = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&waits);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || {
                counter.fetch_add(1, Ordering::Relaxed);
            })
            .build();
        (runtime.expect("a runtime"), waits)
    }

    fn stream(own: UnixStream) -> SocketStream {
        own.set_nonblocking(true).expect("a socket");
        SocketStream::new(own).expect("it is watched")
    }

    #[test]
    fn a_peer_that_reads_wakes_nobody() {
        const ROUNDS: u32 = 200;
        let (own, mut peer) = UnixStream::pair().expect("sockets");
        let (runtime, waits) = counted();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut answer = [0; 100];
                for _ in 0..ROUNDS {
                    peer.write_all(b"?").expect("it is taken");
                    peer.read_exact(&mut answer).expect("it is answered");
                }
            });
            runtime.block_on(async {
                let mut stream = stream(own);
                for _ in 0..ROUNDS {
                    assert_eq!(stream.read_u8().await.expect("it is asked"), b'?');
                    stream.write_all(&[0; 100]).await.expect("there is room");
                }
                assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
            });
        });
        let waits = waits.load(Ordering::Relaxed);
        assert!(waits <= ROUNDS + 1, "{waits} waits for {ROUNDS} questions");
    }

    #[test]
    fn what_has_no_room_is_written_once_there_is() {
        const ALL: usize = 4 << 20;
        let (own, mut peer) = UnixStream::pair().expect("sockets");
        let (runtime, _) = counted();
        thread::scope(|scope| {
            let read = scope.spawn(move || {
                let mut all = Vec::new();
                peer.read_to_end(&mut all).expect("it is read");
                all
            });
            let sent: Vec<u8> = (0..ALL).map(|at| (at / 7) as u8).collect();
            runtime.block_on(async {
                let mut stream = stream(own);
                stream.write_all(&sent).await.expect("it is read");
                assert!(stream.full.is_none());
                stream.shutdown().await.expect("it is there");
            });
            assert!(read.join().expect("it ends") == sent);
        });
    }
}
