//! Sockets that are made, used once and closed: every system call that pinif has a hook on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use super::{Sender, Sent};

/// Short-lived sockets: `socket()`, `SO_BINDTODEVICE`, `bind()`, `connect()`, datagrams, `close()`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Churn {
    /// Where the datagrams go.
    pub to: SocketAddr,
    /// How many each sends.
    pub datagrams: u32,
    /// The device that they are bound to.
    pub device: String,
}

impl Churn {
    pub(super) fn open(self) -> Result<Self> {
        Ok(self)
    }

    fn once(&self) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(self.to), Type::DGRAM, None)?;
        socket.bind_device(Some(self.device.as_bytes()))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
        socket.connect(&self.to.into())?;
        for _ in 0..self.datagrams {
            socket.send(&[0; 18])?;
        }
        Ok(())
    }
}

impl Sender for Churn {
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()> {
        while Instant::now() < end {
            self.once()?;
            sent.count += 1;
        }
        Ok(())
    }
}
