//! The server: a thread and a runtime of its own, so that no reader takes anything of the collector's time but the answers, and the lines of
//! those who follow.

use std::{
    collections::VecDeque,
    io,
    os::unix::net::UnixListener as Listener,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::{oneshot, watch},
};

use super::{
    answer::too_many,
    connection::{self, Accept, Requests, SLOW, take_all},
    followers::follows,
    listen::Listening,
    readers::{Full, MOST, Readers},
    routes::{Routes, Sources},
    socket_stream::SocketStream,
};

/// How many connections beyond those that are answered wait for their 503. Where there are more, the earliest is closed: none of them
/// keeps who has a place from it, be it by silence.
const REFUSED: usize = 16;

/// A server that runs. It ends when this is dropped, and its socket goes.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    /// Once its connections are closed, or given up.
    ended: oneshot::Receiver<()>,
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
        let (end, ended) = oneshot::channel();
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
                // Perhaps nobody waits for it.
                let _ = end.send(());
            })?;
        Ok(Self {
            stop,
            ended,
            thread: Some(thread),
            listening,
        })
    }

    /// Ends it. Those who follow get the time to read what was published last, in the runtime that serves them.
    pub async fn end(mut self) {
        self.stop();
        // It ends after a time in any case.
        let _ = (&mut self.ended).await;
    }

    fn stop(&mut self) {
        self.listening.unlink();
        self.stop.send_replace(true);
    }

    /// Where it answers.
    pub fn path(&self) -> &std::path::Path {
        self.listening.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // It does not panic, so there is nothing to learn.
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: Listener,
    sources: Sources,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let (hub, beside) = (sources.hub.clone(), sources.beside.clone());
    let routes = Routes::new(sources);
    let readers = Arc::new(Readers::default());
    let mut refused = Refused::default();
    take_all(&listener, MOST + REFUSED, stopped.clone(), |stream| {
        // A peer that has gone already has no credentials any more.
        let peer = stream.peer_cred().ok()?;
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
        let ticket = readers.enter(pid.filter(|pid| *pid != 0), peer.uid());
        let closed = ticket.is_err().then(|| refused.next());
        let (routes, ticket) = (routes.clone(), ticket.map(Arc::new));
        let answer = move |request| {
            let (mut routes, ticket) = (routes.clone(), ticket.clone());
            async move {
                match ticket {
                    Ok(ticket) => routes.answer(request, ticket).await,
                    Err(Full::All) => too_many(
                        "too many are answered already",
                        "ask again, or end one of those that `pinif status` lists",
                    ),
                    Err(Full::Own) => too_many(
                        "too many of this user are answered already",
                        "ask again, or end one of this user's that `pinif status` lists",
                    ),
                }
            }
        };
        // Before the audit is ready, its thread has no time for them. Those that are refused wait here.
        let beside = beside.clone().filter(|_| closed.is_none());
        let (hub, mut stopped) = (hub.clone(), stopped.clone());
        let answered = async move {
            let is_ready = || hub.upgrade().is_some_and(|hub| hub.is_ready());
            let follows = async { beside.is_some() && follows(&stream, SLOW).await && is_ready() };
            let follows = tokio::select! {
                follows = follows => follows,
                _ = stopped.changed() => return,
            };
            let Ok(stream) = stream.into_std() else {
                return;
            };
            match beside.filter(|_| follows) {
                Some(beside) => {
                    let answered = beside.spawn(async move {
                        if let Ok(stream) = SocketStream::new(stream) {
                            connection::answer(stream, Requests::First, answer, stopped).await;
                        }
                    });
                    // It does not panic.
                    let _ = answered.await;
                }
                None => {
                    if let Ok(stream) = SocketStream::new(stream) {
                        connection::answer(stream, Requests::All, answer, stopped).await;
                    }
                }
            }
        };
        Some(async move {
            match closed {
                Some(closed) => tokio::select! {
                    () = answered => {}
                    _ = closed => {}
                },
                None => answered.await,
            }
        })
    })
    .await;
    Ok(())
}

/// The connections that are refused, the earliest first.
#[derive(Default)]
struct Refused(VecDeque<oneshot::Sender<()>>);

impl Refused {
    /// Takes one in. It is to be closed once this is ready.
    fn next(&mut self) -> oneshot::Receiver<()> {
        self.0.retain(|refused| !refused.is_closed());
        while self.0.len() >= REFUSED {
            // Its sender is what keeps it.
            self.0.pop_front();
        }
        let (keep, closed) = oneshot::channel();
        self.0.push_back(keep);
        closed
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

#[cfg(test)]
mod tests;
