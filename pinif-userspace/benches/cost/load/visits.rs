//! Short TCP connections: a server that answers each with some packets and closes it, and its clients.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

use super::{Sender, Sent};

/// What one packet has.
const PAYLOAD: [u8; 18] = [0; 18];

/// A server. It serves as long as its process is there, also between samples.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Server {
    /// Where it listens.
    pub at: SocketAddr,
    /// How many packets it sends on each connection: at most ten, which is as many as may be under way at its start (RFC 6928).
    pub packets: u32,
}

impl Server {
    pub(super) fn open(self) -> Result<Serving> {
        let listener = TcpListener::bind(self.at).context("the server cannot listen")?;
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that has gone is no reason to serve no other.
                let _answered = stream.and_then(|stream| answer(&stream, self.packets));
            }
        });
        Ok(Serving)
    }
}

fn answer(mut stream: &TcpStream, packets: u32) -> io::Result<()> {
    // Or the kernel would wait, and put several into one (tcp(7)).
    stream.set_nodelay(true)?;
    for _ in 0..packets {
        stream.write_all(&PAYLOAD)?;
    }
    Ok(())
}

/// A server that serves.
pub(super) struct Serving;

impl Sender for Serving {
    fn send_until(&mut self, _end: Instant, _sent: &mut Sent) -> io::Result<()> {
        Ok(())
    }
}

/// Its clients, one after the other: each connects, reads to the end, and resets the connection, so that neither end stays in
/// TIME_WAIT.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Visits {
    /// Where the server listens.
    pub to: SocketAddr,
}

impl Visits {
    pub(super) fn open(self) -> Result<Self> {
        Ok(self)
    }

    fn once(&self) -> io::Result<u64> {
        let mut stream = TcpStream::connect(self.to)?;
        let bytes = stream.read_to_end(&mut Vec::with_capacity(1 << 10))?;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(bytes as u64)
    }
}

impl Sender for Visits {
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()> {
        while Instant::now() < end {
            sent.bytes += self.once()?;
            sent.count += 1;
        }
        Ok(())
    }
}
