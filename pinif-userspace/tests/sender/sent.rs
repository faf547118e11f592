//! What was really sent.

use std::collections::BTreeMap;
use std::io;

use anyhow::Result;
use nix::errno::Errno;
use serde::Serialize;
use socket2::Socket;

/// The last line on standard output.
#[derive(Debug, Default, Serialize)]
pub struct Sent {
    /// Messages (for TCP: connections) that the kernel took.
    pub sent: u64,
    /// This process.
    pub pid: u32,
    /// The socket's address at the end.
    pub local: Option<String>,
    /// The socket's cookie (`SO_COOKIE`).
    pub cookie: u64,
    /// How often the kernel refused, by the error's name.
    pub refused: BTreeMap<String, u64>,
}

impl Sent {
    /// Nothing yet.
    pub fn by(socket: &Socket) -> Result<Self> {
        Ok(Self {
            pid: std::process::id(),
            cookie: socket.cookie()?,
            ..Self::default()
        })
    }

    /// Counts one outcome.
    pub fn count<T>(&mut self, outcome: io::Result<T>) {
        match outcome {
            Ok(_) => self.sent += 1,
            Err(error) => {
                let name = error
                    .raw_os_error()
                    .map_or(format!("{:?}", error.kind()), |number| {
                        format!("{:?}", Errno::from_raw(number))
                    });
                *self.refused.entry(name).or_default() += 1;
            }
        }
    }

    /// Counts what another sent, of the same process.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        for (name, times) in other.refused {
            *self.refused.entry(name).or_default() += times;
        }
    }

    /// Adds the address that the socket has now.
    pub fn at(mut self, socket: &Socket) -> Self {
        self.local = socket
            .local_addr()
            .ok()
            .and_then(|a| a.as_socket())
            .map(|address| address.to_string());
        self
    }
}
