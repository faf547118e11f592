//! What a connection passes before it is answered: encryption, and that the reader is known.

use std::{
    future::ready,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::Body,
    http::{
        HeaderValue, Request, StatusCode,
        header::{CONNECTION, WWW_AUTHENTICATE},
    },
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    in_force::{InForce, Refused},
    unproven::{Place, Unproven},
};
use crate::control::{
    answer::{Answer, problem, too_many},
    connection::{self, Requests},
};

/// How long the first byte may take, and how long the handshake.
const SLOW: Duration = Duration::from_secs(10);
/// How many connections there may be at once of which nobody is known yet.
const UNPROVEN: usize = 64;
/// The first byte of a connection of TLS: a record of the handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// What connections pass.
#[derive(Debug)]
pub struct Door {
    in_force: Arc<InForce>,
    unproven: Arc<Unproven>,
    room: Arc<Semaphore>,
}

/// A connection that passes.
struct Passing {
    door: Arc<Door>,
    place: Place,
    /// Once the reader is known; nothing in it, where there are too many already.
    proven: OnceLock<Option<OwnedSemaphorePermit>>,
}

impl Door {
    /// Held to what is in force, with room for so many readers that are known.
    pub fn new(in_force: Arc<InForce>, readers: usize) -> Arc<Self> {
        Arc::new(Self {
            in_force,
            unproven: Unproven::at_most(UNPROVEN),
            room: Arc::new(Semaphore::new(readers)),
        })
    }

    /// How many connections there may be at once: one more than there is room for, so that it takes another's place.
    pub fn most(readers: usize) -> usize {
        readers + UNPROVEN + 1
    }

    /// Answers all requests of a connection that may be answered.
    pub async fn pass<F>(
        self: Arc<Self>,
        stream: TcpStream,
        peer: IpAddr,
        answer: impl Fn(Request<Body>) -> F + Send,
        stopped: watch::Receiver<bool>,
    ) where
        F: Future<Output = Answer> + Send,
    {
        let passing = Passing {
            place: self.unproven.enter(peer),
            door: self,
            proven: OnceLock::new(),
        };
        tokio::select! {
            () = passing.answer(stream, answer, stopped) => {}
            () = passing.place.lost() => passing.door.in_force.refuse(Refused::Crowded),
        }
    }
}

impl Passing {
    async fn answer<F>(
        &self,
        stream: TcpStream,
        answer: impl Fn(Request<Body>) -> F + Send,
        stopped: watch::Receiver<bool>,
    ) where
        F: Future<Output = Answer> + Send,
    {
        let in_force = &self.door.in_force;
        let mut first = [0];
        match timeout(SLOW, stream.peek(&mut first)).await {
            Ok(Ok(1)) if first == [HANDSHAKE] => {}
            Ok(Ok(1)) => {
                in_force.refuse(Refused::Plain);
                return connection::answer(stream, Requests::All, |_| ready(plain()), stopped)
                    .await;
            }
            // It says nothing, or is gone.
            _ => return in_force.refuse(Refused::Handshake),
        }
        let config = Arc::clone(&in_force.now().config);
        let accepted = TlsAcceptor::from(config).accept(stream);
        let Ok(Ok(stream)) = timeout(SLOW, accepted).await else {
            return in_force.refuse(Refused::Handshake);
        };
        let admitted = move |request: Request<Body>| {
            let refusal = self.refusal(&request);
            let answered = refusal.is_none().then(|| answer(request));
            async move {
                match (answered, refusal) {
                    (Some(answered), _) => answered.await,
                    (None, refusal) => refusal.unwrap_or_else(unknown),
                }
            }
        };
        connection::answer(stream, Requests::All, admitted, stopped).await;
    }

    /// Why a request is refused, if it is: it is held to what is in force when it comes.
    fn refusal(&self, request: &Request<Body>) -> Option<Answer> {
        let in_force = &self.door.in_force;
        let material = in_force.now();
        let tokens = material.tokens.as_ref();
        if tokens.is_some_and(|tokens| !tokens.admit(request.headers())) {
            in_force.refuse(Refused::Token);
            return Some(unknown());
        }
        let proven = self.proven.get_or_init(|| {
            self.place.leave();
            Arc::clone(&self.door.room).try_acquire_owned().ok()
        });
        proven.is_none().then(|| {
            in_force.refuse(Refused::TooMany);
            last(too_many("there are too many readers", "ask again later"))
        })
    }
}

/// That the connection is not encrypted.
fn plain() -> Answer {
    last(problem(
        StatusCode::BAD_REQUEST,
        "this port is encrypted, and the request is not",
        "ask for https://",
    ))
}

/// That nobody is known by this token, or that there is none.
fn unknown() -> Answer {
    let mut answer = problem(
        StatusCode::UNAUTHORIZED,
        "the request has no token that is known here",
        "send one of --token-file's as `Authorization: Bearer TOKEN`",
    );
    let scheme = HeaderValue::from_static("Bearer realm=\"pinif\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    last(answer)
}

/// The last answer of a connection.
fn last(mut answer: Answer) -> Answer {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}
