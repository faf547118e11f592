//! A message is sent: each by a connection of its own, so that none outlives the interface that it is bound to.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request,
    client::conn::http1::handshake,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore, crypto,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::lookup_host,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    super::{
        secure::{read, read_secret},
        via::{Via, connect},
    },
    endpoint::{Endpoint, Host},
    reply::{Reply, Signal, reply},
};
use crate::text::escape::{visible, visible_path};

/// How long a collector may take to answer, from the look-up of its name on.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long its answer may be, in bytes.
const MOST: usize = 64 << 10;
/// How long a token may be, in bytes: what is longer is refused with the headers by most servers.
const LONGEST_TOKEN: usize = 8 << 10;
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("pinif/", env!("CARGO_PKG_VERSION")));

/// A collector, and how it is reached.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The interface by which it is reached; by any, where there is none.
    pub via: Option<Via>,
    /// The file of the token that it wants. It is read each time.
    pub token: Option<PathBuf>,
    /// The file of the certificates that it is trusted by; the system's, where there is none. It is read each time.
    pub roots: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it does not answer in time")]
    Late,
    #[error("{}", .0)]
    Unreachable(String),
    #[error("the file {} of --{option} cannot be used: {error}", visible_path(.path))]
    File {
        option: &'static str,
        path: PathBuf,
        error: String,
    },
    /// The same, of one whose error names it.
    #[error("--{option}: {error}")]
    Unread { option: &'static str, error: String },
    #[error("it cannot be spoken to by TLS: {}", visible(.0))]
    Tls(String),
    #[error("the connection is lost: {}", visible(.0))]
    Lost(String),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

impl Collector {
    /// Sends it a message. What it has not answered in time may have been taken all the same.
    pub async fn send(&self, signal: Signal, message: Vec<u8>) -> Reply {
        let answered = timeout(PATIENCE, self.exchange(signal, message.into()));
        match answered.await.unwrap_or(Err(Failure::Late)) {
            Ok(reply) => reply,
            Err(failure) => Reply::Later {
                after: None,
                reason: failure.into(),
            },
        }
    }

    async fn exchange(&self, signal: Signal, message: Bytes) -> Result<Reply, Failure> {
        let request = self.request(signal, message)?;
        let stream = self.reach().await?;
        if !self.endpoint.is_secure {
            return speak(stream, signal, request).await;
        }
        let config = client(self.roots.as_deref())?;
        let host = match &self.endpoint.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|error: InvalidDnsNameError| Failure::Tls(error.to_string()))?,
        };
        let stream = TlsConnector::from(Arc::new(config))
            .connect(host, stream)
            .await;
        let stream = stream.map_err(|error| Failure::Tls(error.to_string()))?;
        speak(stream, signal, request).await
    }

    fn request(&self, signal: Signal, message: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let endpoint = &self.endpoint;
        let mut request = Request::post(format!("{}{}", endpoint.path, signal.path()))
            .header(HOST, &endpoint.authority)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, PROTOBUF);
        if let Some(path) = &self.token {
            request = request.header(AUTHORIZATION, bearer(path)?);
        }
        let request = request.body(Full::new(message));
        request.map_err(|error| Failure::Unreachable(error.to_string()))
    }

    /// Connects to the first of its addresses that takes it.
    async fn reach(&self) -> Result<tokio::net::TcpStream, Failure> {
        let Endpoint { host, port, .. } = &self.endpoint;
        let addresses = match host {
            Host::Address(address) => vec![SocketAddr::new(*address, *port)],
            // A name is looked up by sockets that are bound to nothing: `Exporter` has none of those where there is `via`.
            Host::Name(name) => match lookup_host((&**name, *port)).await {
                Ok(addresses) => addresses.collect(),
                Err(error) => {
                    let name = visible(name);
                    let why = format!("the name {name} cannot be looked up: {error}");
                    return Err(Failure::Unreachable(why));
                }
            },
        };
        let mut why = "its name has no address".to_owned();
        for address in addresses {
            match connect(address, self.via.as_ref()).await {
                Ok(stream) => return Ok(stream),
                Err(error) => why = error.to_string(),
            }
        }
        Err(Failure::Unreachable(why))
    }
}

/// Sends a request, and reads the answer.
async fn speak<S>(
    stream: S,
    signal: Signal,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let answered = async {
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MOST).collect().await;
        let body = body.map_err(|error| Failure::Lost(error.to_string()))?;
        let (status, headers) = (head.status, &head.headers);
        Ok(reply(
            signal,
            status,
            headers,
            &body.to_bytes(),
            SystemTime::now(),
        ))
    };
    tokio::pin!(connection, answered);
    tokio::select! {
        answer = &mut answered => answer,
        // What came before its end is read all the same, also where it ends without a word (TLS has one, `close_notify`).
        ended = &mut connection => match (answered.await, ended) {
            (Err(_), Err(error)) => Err(error.into()),
            (answer, _) => answer,
        },
    }
}

/// What says who sends it (RFC 6750 section 2.1).
fn bearer(path: &Path) -> Result<HeaderValue, Failure> {
    let option = "otlp-token";
    let failure = |error: &str| Failure::File {
        option,
        path: path.to_owned(),
        error: error.to_owned(),
    };
    let bytes = read_secret(path, "token").map_err(|error| Failure::Unread { option, error })?;
    let token = String::from_utf8(bytes).map_err(|_| failure("it is not UTF-8"))?;
    let token = token.trim();
    if token.len() > LONGEST_TOKEN {
        return Err(failure("it is longer than a token can be, 8 KiB"));
    }
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| failure("it has more than a token in it"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whom to trust.
fn client(roots: Option<&Path>) -> Result<ClientConfig, Failure> {
    let mut trusted = RootCertStore::empty();
    match roots {
        Some(path) => {
            let failure = |error: String| Failure::File {
                option: "otlp-ca",
                path: path.to_owned(),
                error,
            };
            let option = "otlp-ca";
            let pem = read(path, "certificate of a CA")
                .map_err(|error| Failure::Unread { option, error })?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| failure(error.to_string()))?;
                let added = trusted.add(certificate);
                added.map_err(|error| failure(error.to_string()))?;
            }
            if trusted.is_empty() {
                return Err(failure("it has no certificate in it".to_owned()));
            }
        }
        None => {
            // What of the system's is damaged is left out.
            trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if trusted.is_empty() {
                let why =
                    "this system has no certificates to trust; name a file of them (--otlp-ca)";
                return Err(Failure::Tls(why.to_owned()));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Tls(error.to_string()))?;
    Ok(config.with_root_certificates(trusted).with_no_client_auth())
}

#[cfg(test)]
mod tests;
