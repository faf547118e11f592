//! Where readers come in: one kind of connection, by TCP or at a socket in the file system.

use std::{io, net::SocketAddr};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};

use super::address::{Address, is_loopback};
use crate::{
    control::{Listening, Refusal, connection::Accept},
    text::escape::visible,
};

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where readers come in.
pub enum Listener {
    /// By TCP, from this machine.
    Tcp(TcpListener),
    /// At a socket that goes with this.
    Unix(UnixListener, Listening),
}

impl Listener {
    /// At this address. Within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    pub async fn at(address: &Address) -> Result<Self> {
        match address {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address).await;
                let listener = listener.with_context(|| {
                    format!("{address} cannot be listened at; choose another port with --listen")
                })?;
                Ok(Self::Tcp(listener))
            }
            Address::Unix(path) => {
                let mut listening = Listening::at(path).map_err(|refusal| match refusal {
                    Refusal::Taken { path, .. } => anyhow::anyhow!(
                        "another process listens at {}; choose another path with --listen",
                        visible(&path.to_string_lossy())
                    ),
                    Refusal::NoSocket(path) => anyhow::anyhow!(
                        "{} is no socket; choose another path with --listen",
                        visible(&path.to_string_lossy())
                    ),
                    Refusal::Impossible { path, error } => anyhow::anyhow!(
                        "the socket {} cannot be made: {error}",
                        visible(&path.to_string_lossy())
                    ),
                    refusal @ Refusal::Exposed(_) => refusal.into(),
                })?;
                let listener = UnixListener::from_std(listening.take()?)?;
                Ok(Self::Unix(listener, listening))
            }
        }
    }

    /// Where readers find it.
    pub fn address(&self) -> Address {
        match self {
            Self::Tcp(listener) => {
                // It is bound, and so has an address.
                let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
                Address::Tcp(listener.local_addr().unwrap_or(unknown))
            }
            Self::Unix(_, listening) => Address::Unix(listening.path().to_owned()),
        }
    }
}

impl Accept for Listener {
    type Stream = Box<dyn Stream>;

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        loop {
            match self {
                Self::Tcp(listener) => {
                    let (stream, peer) = listener.accept().await?;
                    // A packet for a loopback address comes by no other interface, unless somebody has set `route_localnet`.
                    if is_loopback(peer.ip()) {
                        return Ok(Box::new(stream));
                    }
                }
                Self::Unix(listener, _) => {
                    let (stream, _) = listener.accept().await?;
                    return Ok(Box::new(stream));
                }
            }
        }
    }
}
