//! The lines of an auditor's events, as they come.

use std::path::PathBuf;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http1::SendRequest};

use super::ClientError;
use crate::control::protocol::EventLine;

/// How long a line may be, in bytes.
const LINE: usize = 16 << 20;

/// What happens in an audit.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    body: Incoming,
    /// What came of lines, from the next one on.
    rest: Vec<u8>,
    /// How much of it has no end of a line.
    read: usize,
    _connection: SendRequest<Empty<Bytes>>,
}

impl Events {
    /// Those that come as the body of an answer, on a connection of their own, from the auditor at a path.
    pub(super) fn of(path: PathBuf, body: Incoming, connection: SendRequest<Empty<Bytes>>) -> Self {
        Self {
            path,
            body,
            rest: Vec::new(),
            read: 0,
            _connection: connection,
        }
    }

    /// The next line. None, once the audit has ended and said so (its last line is a `summary`).
    ///
    /// # Errors
    ///
    /// That the auditor has gone, or says what is not understood.
    pub async fn next(&mut self) -> Result<Option<EventLine<'static>>, ClientError> {
        loop {
            let unread = &self.rest[self.read..];
            if let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=self.read + end).collect();
                self.read = 0;
                let line = serde_json::from_slice(&line);
                return line.map(Some).map_err(|error| ClientError::Strange {
                    path: self.path.clone(),
                    error: error.to_string(),
                });
            }
            self.read = self.rest.len();
            if self.rest.len() > LINE {
                return Err(ClientError::Strange {
                    path: self.path.clone(),
                    error: "a line without an end".to_owned(),
                });
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.rest.extend_from_slice(bytes);
                    }
                }
                Some(Err(error)) => {
                    return Err(ClientError::Lost {
                        path: self.path.clone(),
                        error: error.to_string(),
                    });
                }
            }
        }
    }
}
