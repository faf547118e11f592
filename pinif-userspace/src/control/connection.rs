//! Connections of HTTP/1.1, each with the bounds that all who ask are held to: on the control socket, and of `pinif serve`.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::body::Body;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

use super::answer::Answer;

/// How much a request may be, without a body: path and headers.
const REQUEST: usize = 16 << 10;
/// How many headers it may have.
const HEADERS: usize = 32;
/// How long a request may take to come, and how long a connection may be idle.
pub(super) const SLOW: Duration = Duration::from_secs(10);
/// How long a reader may stand still before it is given up.
const STALLED: Duration = Duration::from_secs(300);
/// How long the end waits for readers to take what was said.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where connections come from.
pub(crate) trait Accept {
    /// A connection.
    type Stream: Send + 'static;

    /// Waits for the next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Takes connections, at most so many at once, and has each answered, until it is stopped.
pub(crate) async fn take_all<A: Accept, F>(
    listener: &A,
    most: usize,
    mut stopped: watch::Receiver<bool>,
    mut answer: impl FnMut(A::Stream) -> Option<F>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(most));
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
                (Ok(room), Ok(stream)) => (room, stream),
                // Too many descriptors, perhaps: one may be free soon.
                _ => {
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        if let Some(answered) = answer(stream) {
            connections.spawn(async move {
                answered.await;
                drop(room);
            });
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    // Whoever does not read is given up.
    let _ = timeout(PATIENCE, ended).await;
}

/// Which requests of a connection are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    /// All, one after the other.
    All,
    /// The first; then it is closed.
    First,
}

/// Answers the requests of a connection.
pub(crate) async fn answer<S, F>(
    stream: S,
    requests: Requests,
    answer: impl Fn(Request<Body>) -> F + Send,
    mut stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send,
    F: Future<Output = Answer> + Send,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    let service = service_fn(|request: Request<Incoming>| {
        let answered = answer(request.map(Body::new));
        async { Ok::<_, Infallible>(answered.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOW)
        .max_buf_size(REQUEST)
        .max_headers(HEADERS)
        .keep_alive(requests == Requests::All)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::pin!(connection);
    tokio::select! {
        // Whatever is wrong with a connection is the reader's.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
