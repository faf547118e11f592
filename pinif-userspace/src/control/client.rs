//! The client: what asks a running auditor, within a tokio runtime. It needs no privilege but to be let in at the socket.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header::HOST,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};

use super::{
    filter::{ClosedFilter, EventsFilter, FindingsFilter, LearnedFilter, SocketsFilter},
    place::{self, Peer},
    protocol::{
        ClosedSockets, FindingsPage, ForeseenNow, MatrixNow, PolicyNow, SocketsPage, Status, path,
    },
};
use crate::{findings::line::FindingLine, learned::LearnedPage};

mod error;
mod events;

pub use error::ClientError;
pub use events::Events;

/// How long an answer may be, in bytes.
const MOST: usize = 64 << 20;
/// How long an answer may take to begin, and each part of it to come. An auditor that is there, and whose collector hangs, says so after
/// five seconds ([`super::ask`]).
const PATIENCE: Duration = Duration::from_secs(6);

/// An auditor that can be asked. It is connected to when it is asked, and again where the connection was lost since.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    connection: Option<SendRequest<Empty<Bytes>>>,
}

impl Client {
    /// The auditor at a path; without one, the service where it runs, else the only one that does.
    ///
    /// # Errors
    ///
    /// That there is none, or that there are several.
    pub fn find(named: Option<&Path>) -> Result<Self, ClientError> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => only(running()?)?,
        };
        Ok(Self {
            path,
            connection: None,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the audit stands.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn status(&mut self) -> Result<Status, ClientError> {
        self.get(path::STATUS).await
    }

    /// Who has sent how much by which interface.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn matrix(&mut self) -> Result<MatrixNow, ClientError> {
        self.get(path::MATRIX).await
    }

    /// The policy in force.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn policy(&mut self) -> Result<PolicyNow, ClientError> {
        self.get(path::POLICY).await
    }

    /// A page of findings.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn findings(&mut self, filter: &FindingsFilter) -> Result<FindingsPage, ClientError> {
        let target = self.target(path::FINDINGS, filter)?;
        self.get(&target).await
    }

    /// A page of sockets.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn sockets(
        &mut self,
        filter: &SocketsFilter,
    ) -> Result<SocketsPage<'static>, ClientError> {
        let target = self.target(path::SOCKETS, filter)?;
        self.get(&target).await
    }

    /// A page of what was learned of what is sent by whom.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn learned_page(
        &mut self,
        filter: &LearnedFilter,
    ) -> Result<LearnedPage, ClientError> {
        let target = self.target(path::LEARNED, filter)?;
        self.get(&target).await
    }

    /// What is foreseen now.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn foreseen(&mut self) -> Result<ForeseenNow, ClientError> {
        self.get(path::FORESEEN).await
    }

    /// The sockets of a namespace that were closed.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn closed(&mut self, filter: &ClosedFilter) -> Result<ClosedSockets, ClientError> {
        let target = self.target(path::CLOSED, filter)?;
        self.get(&target).await
    }

    /// All that was learned of what is sent by whom.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn learned(&mut self) -> Result<LearnedPage, ClientError> {
        let mut all = self.learned_page(&LearnedFilter::default()).await?;
        while let Some(from) = all.next {
            let filter = LearnedFilter {
                from: Some(from),
                limit: None,
            };
            let page = self.learned_page(&filter).await?;
            all.traffic.extend(page.traffic);
            all.total = page.total;
            all.not_learned = page.not_learned;
            all.next = page.next;
        }
        Ok(all)
    }

    /// The finding with this id; none, where there is no such one.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn finding(&mut self, id: &str) -> Result<Option<FindingLine>, ClientError> {
        // What else is in there would be another path.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        match self.get(&path::FINDING.replace("{id}", id)).await {
            Ok(finding) => Ok(Some(finding)),
            Err(ClientError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same, or the finding that one with this id is named in by now: it has the packets of the same connections.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn finding_or_whole(&mut self, id: &str) -> Result<Option<FindingLine>, ClientError> {
        if let Some(finding) = self.finding(id).await? {
            return Ok(Some(finding));
        }
        let mut filter = FindingsFilter::default();
        loop {
            let page = self.findings(&filter).await?;
            let names = |finding: &FindingLine| finding.related.iter().any(|one| one.id == id);
            let whole = page.findings.into_iter().find(names);
            filter.from = page.next;
            if whole.is_some() || filter.from.is_none() {
                return Ok(whole);
            }
        }
    }

    /// What happens from now on, on a connection of its own. The first line is how the audit stands.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn events(&self, filter: &EventsFilter) -> Result<Events, ClientError> {
        let target = self.target(path::EVENTS, filter)?;
        let mut connection = self.connect().await?;
        let answer = self.send(&mut connection, &target).await?;
        let body = self.accepted(answer).await?.into_body();
        Ok(Events::of(self.path.clone(), body, connection))
    }

    fn target(&self, path: &str, filter: &impl Serialize) -> Result<String, ClientError> {
        let query = serde_urlencoded::to_string(filter).map_err(|error| self.strange(&error))?;
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(format!("{path}{mark}{query}"))
    }

    /// All metrics, in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn metrics(&mut self) -> Result<String, ClientError> {
        let bytes = self.read(path::METRICS).await?;
        String::from_utf8(bytes).map_err(|error| self.strange(&error))
    }

    async fn get<T: DeserializeOwned>(&mut self, target: &str) -> Result<T, ClientError> {
        let bytes = self.read(target).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.strange(&error))
    }

    async fn read(&mut self, target: &str) -> Result<Vec<u8>, ClientError> {
        let mut connection = match self.idle().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = match self.send(&mut connection, target).await {
            // It was idle for too long, perhaps.
            Err(ClientError::Lost { .. }) => {
                connection = self.connect().await?;
                self.send(&mut connection, target).await?
            }
            answer => answer?,
        };
        let body = self.accepted(answer).await?;
        let bytes = self.body(body.into_body()).await?;
        self.connection = Some(connection);
        Ok(bytes)
    }

    /// The connection of the last question, where it is still there.
    async fn idle(&mut self) -> Option<SendRequest<Empty<Bytes>>> {
        let mut connection = self.connection.take()?;
        connection.ready().await.ok()?;
        Some(connection)
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, ClientError> {
        let path = || self.path.clone();
        let stream = UnixStream::connect(&self.path).await;
        let stream = stream.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Denied(path()),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotThere(path())
            }
            // It takes no more callers (unix(7)): whoever accepts them does not.
            io::ErrorKind::WouldBlock => ClientError::Silent(path()),
            _ => self.lost(&error),
        })?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.lost(&error))?;
        tokio::spawn(async move {
            // Whoever sends on it learns of its end.
            let _ = connection.await;
        });
        Ok(sender)
    }

    async fn send(
        &self,
        connection: &mut SendRequest<Empty<Bytes>>,
        target: &str,
    ) -> Result<Response<Incoming>, ClientError> {
        let request = Request::get(target)
            .header(HOST, "pinif")
            .body(Empty::new())
            .map_err(|error| self.strange(&error))?;
        let answer = self.in_time(connection.send_request(request)).await?;
        answer.map_err(|error| self.lost(&error))
    }

    /// The outcome of something that an auditor that hangs would never end.
    async fn in_time<T>(&self, waited: impl Future<Output = T>) -> Result<T, ClientError> {
        let outcome = timeout(PATIENCE, waited).await;
        outcome.map_err(|_| ClientError::Silent(self.path.clone()))
    }

    /// The answer, where it is none that refuses.
    async fn accepted(
        &self,
        answer: Response<Incoming>,
    ) -> Result<Response<Incoming>, ClientError> {
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let bytes = self.body(answer.into_body()).await?;
        let problem = serde_json::from_slice(&bytes).map_err(|error| self.strange(&error))?;
        Err(ClientError::Refused {
            status: status.as_u16(),
            problem,
        })
    }

    async fn body(&self, body: Incoming) -> Result<Vec<u8>, ClientError> {
        let mut body = Limited::new(body, MOST);
        let mut bytes = Vec::new();
        while let Some(frame) = self.in_time(body.frame()).await? {
            let frame = frame.map_err(|error| self.lost(&error))?;
            if let Some(part) = frame.data_ref() {
                bytes.extend_from_slice(part);
            }
        }
        Ok(bytes)
    }

    fn lost(&self, error: &impl ToString) -> ClientError {
        ClientError::Lost {
            path: self.path.clone(),
            error: error.to_string(),
        }
    }

    fn strange(&self, error: &impl ToString) -> ClientError {
        ClientError::Strange {
            path: self.path.clone(),
            error: error.to_string(),
        }
    }
}

/// Where auditors listen now, the service's first.
///
/// # Errors
///
/// That this user may not look.
pub fn running() -> Result<Vec<PathBuf>, ClientError> {
    let directory = Path::new(place::DIRECTORY);
    if let Err(error) = fs::read_dir(directory)
        && error.kind() == io::ErrorKind::PermissionDenied
    {
        return Err(ClientError::Denied(directory.to_owned()));
    }
    let mut all = place::all(directory);
    all.retain(|path| match place::peer(path) {
        Peer::Listens(_) => true,
        // It is there, and this user may not ask.
        Peer::Unknown(_) => true,
        Peer::None => false,
    });
    Ok(all)
}

/// The service, or the only one.
fn only(mut running: Vec<PathBuf>) -> Result<PathBuf, ClientError> {
    match running.len() {
        0 => Err(ClientError::NoneRuns),
        1 => Ok(running.remove(0)),
        _ if running[0] == place::of_service() => Ok(running.remove(0)),
        _ => Err(ClientError::Several(running)),
    }
}
