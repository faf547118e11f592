//! The server: a thread and a runtime of its own, so that no reader takes anything of the collector's time but the answers.

use std::{
    io,
    os::unix::net::UnixListener as Listener,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::body::Body;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

use super::{
    answer::{Answer, too_many},
    listen::Listening,
    readers::{MOST, Readers, Ticket},
    routes::{Routes, Sources},
};

/// How much a request may be, without a body: path and headers.
const REQUEST: usize = 16 << 10;
/// How many headers it may have.
const HEADERS: usize = 32;
/// How long a request may take to come, and how long a connection may be idle.
const SLOW: Duration = Duration::from_secs(10);
/// How long a reader may stand still before it is given up.
const STALLED: Duration = Duration::from_secs(300);
/// How many connections beyond those that are answered get 503.
const REFUSED: usize = 16;
/// How long the end waits for readers to take what was said.
const PATIENCE: Duration = Duration::from_secs(1);

/// A server that runs. It ends when this is dropped, and its socket goes.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    // After the thread has ended: nobody finds a socket at which nobody listens.
    listening: Listening,
}

impl Server {
    /// Answers at a socket, of these sources.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(mut listening: Listening, sources: Sources) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let listener = listening.take()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("control socket".to_owned())
            .spawn(move || {
                // It fails where epoll does, and then there is no server.
                let _ = runtime.block_on(serve(listener, sources, stopped));
                // An answer that is being written is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
            listening,
        })
    }

    /// Where it answers.
    pub fn path(&self) -> &std::path::Path {
        self.listening.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.unlink();
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // It does not panic, so there is nothing to learn.
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: Listener,
    sources: Sources,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let routes = Routes::new(sources);
    let readers = Arc::new(Readers::default());
    let room = Arc::new(Semaphore::new(MOST + REFUSED));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let room = Arc::clone(&room).acquire_owned().await;
            (room, listener.accept().await)
        };
        let (room, stream) = tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => continue,
            (room, accepted) = accepted => match (room, accepted) {
                (Ok(room), Ok((stream, _))) => (room, stream),
                // Too many descriptors, perhaps: one may be free soon.
                _ => {
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (routes, stopped) = (routes.clone(), stopped.clone());
        // A peer that has gone already has no credentials any more.
        if let Ok(peer) = stream.peer_cred() {
            let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
            let ticket = readers.enter(pid.filter(|pid| *pid != 0), peer.uid());
            connections.spawn(async move {
                connection(stream, routes, ticket, stopped).await;
                drop(room);
            });
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    // Whoever does not read is given up.
    let _ = timeout(PATIENCE, ended).await;
    Ok(())
}

/// Answers all requests of a connection; that there are too many, where it has no ticket.
async fn connection(
    stream: UnixStream,
    routes: Routes,
    ticket: Option<Ticket>,
    mut stopped: watch::Receiver<bool>,
) {
    let ticket = ticket.map(Arc::new);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    let service = service_fn(move |request: Request<Incoming>| {
        let (mut routes, ticket) = (routes.clone(), ticket.clone());
        async move {
            let answer: Answer = match ticket {
                Some(ticket) => routes.answer(request.map(Body::new), ticket).await,
                None => too_many(
                    "too many are answered already",
                    "ask again, or end one of those that `pinif status` lists",
                ),
            };
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOW)
        .max_buf_size(REQUEST)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::pin!(connection);
    tokio::select! {
        // Whatever is wrong with a connection is the reader's.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

#[cfg(test)]
mod tests;
