//! Where readers come in: one kind of connection, by TCP or at a socket in the file system.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

use super::{
    address::{Address, is_loopback},
    via::{SocketError, Via, listen},
};
use crate::{
    control::{Listening, Refusal, connection::Accept},
    text::escape::visible_path,
};

/// What is read and written.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection.
pub enum Incoming {
    /// By TCP, from this address.
    Tcp(TcpStream, IpAddr),
    /// At a socket in the file system.
    Unix(UnixStream),
}

impl Incoming {
    /// What is read and written, as it comes.
    pub fn plain(self) -> Box<dyn Stream> {
        match self {
            Self::Tcp(stream, _) => Box::new(stream),
            Self::Unix(stream) => Box::new(stream),
        }
    }
}

/// Where readers come in.
pub enum Listener {
    /// By TCP, from this machine alone.
    Tcp(TcpListener),
    /// By TCP, from anywhere: what comes is to be encrypted.
    Secure(TcpListener),
    /// At a socket that goes with this.
    Unix(UnixListener, Listening),
}

impl Listener {
    /// At this address, and by this interface alone where there is one. Within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    pub fn at(address: &Address, is_secure: bool, via: Option<&Via>) -> Result<Self> {
        match address {
            Address::Tcp(address) => {
                let listener = listen(*address, via);
                let listener = listener.map_err(|error| unbound(*address, error))?;
                Ok(if is_secure {
                    Self::Secure(listener)
                } else {
                    Self::Tcp(listener)
                })
            }
            Address::Unix(path) => {
                let mut listening = Listening::at(path).map_err(|refusal| match refusal {
                    Refusal::Taken { path, .. } => anyhow::anyhow!(
                        "another process listens at {}; choose another path with --listen",
                        visible_path(&path)
                    ),
                    Refusal::NoSocket(path) => anyhow::anyhow!(
                        "{} is no socket; choose another path with --listen",
                        visible_path(&path)
                    ),
                    Refusal::Impossible { path, error } => anyhow::anyhow!(
                        "the socket {} cannot be made: {error}",
                        visible_path(&path)
                    ),
                    refusal @ Refusal::Exposed(_) => refusal.into(),
                })?;
                let listener = UnixListener::from_std(listening.take()?)?;
                Ok(Self::Unix(listener, listening))
            }
        }
    }

    /// Where readers find it, as they ask for it.
    pub fn place(&self) -> String {
        // It is bound, and so has an address.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let of = |listener: &TcpListener| listener.local_addr().unwrap_or(unknown);
        match self {
            Self::Tcp(listener) => format!("http://{}", of(listener)),
            Self::Secure(listener) => format!("https://{}", of(listener)),
            Self::Unix(_, listening) => Address::Unix(listening.path().to_owned()).to_string(),
        }
    }
}

/// Why an address cannot be listened at, with the fix for that.
fn unbound(address: SocketAddr, error: SocketError) -> anyhow::Error {
    let kind = match &error {
        SocketError::Failed(error) => Some(error.kind()),
        SocketError::Unbound { .. } => None,
    };
    let fix = match kind {
        Some(io::ErrorKind::AddrNotAvailable) => {
            "no interface has this address; choose one that `ip address` shows, with --listen"
        }
        Some(io::ErrorKind::PermissionDenied) => {
            "choose a port from 1024 on with --listen, or run it as root"
        }
        _ => "choose another port with --listen",
    };
    anyhow::Error::from(error).context(format!("{address} cannot be listened at; {fix}"))
}

impl Accept for Listener {
    type Stream = Incoming;

    async fn accept(&self) -> io::Result<Incoming> {
        loop {
            match self {
                Self::Tcp(listener) => {
                    let (stream, peer) = listener.accept().await?;
                    // A packet for a loopback address comes by no other interface, unless somebody has set `route_localnet`.
                    if is_loopback(peer.ip()) {
                        return Ok(Incoming::Tcp(stream, peer.ip()));
                    }
                }
                Self::Secure(listener) => {
                    let (stream, peer) = listener.accept().await?;
                    return Ok(Incoming::Tcp(stream, peer.ip()));
                }
                Self::Unix(listener, _) => {
                    let (stream, _) = listener.accept().await?;
                    return Ok(Incoming::Unix(stream));
                }
            }
        }
    }
}
