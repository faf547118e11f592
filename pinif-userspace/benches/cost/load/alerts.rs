//! Leaks to be reported: each of another user's socket, so that each is a new finding, and each with the moment before it was sent.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use pinif_lab::send::{Extras, index, send};
use pinif_lab::socket::as_user;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use super::{Sender, Sent};
use crate::clock;

/// Sockets that are bound to one device, and ask for another in a datagram (`IP_PKTINFO`).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Alerts {
    /// Where the datagrams go.
    pub to: SocketAddr,
    /// The device that they are bound to.
    pub device: String,
    /// The interface that they leave by.
    pub leave_by: String,
    /// How long to wait after each, in microseconds; at full rate, where it is 0.
    pub pause: u64,
    /// How many sockets there are at most. Those that there are send in turn then, and are reported no more.
    pub most: u32,
}

/// One leak.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Alert {
    /// Its socket's cookie.
    pub cookie: u64,
    /// When it was about to be sent: nanoseconds of [`clock::now`].
    pub sent: u64,
}

impl Alerts {
    pub(super) fn open(self) -> Result<Leaks> {
        Ok(Leaks {
            interface: index(&self.leave_by)?,
            sockets: Vec::new(),
            next: 0,
            alerts: self,
        })
    }
}

/// What has leaked. The sockets stay open, as those of a real leak would.
pub(super) struct Leaks {
    alerts: Alerts,
    interface: u32,
    sockets: Vec<Socket>,
    /// Which one sends next, once there are enough.
    next: usize,
}

/// The first user; no account has it, nor those after it.
const FIRST_USER: u32 = 2_000_000;

impl Sender for Leaks {
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()> {
        while Instant::now() < end {
            if self.sockets.len() < self.alerts.most as usize {
                sent.alerts.push(self.begin()?);
            } else {
                let socket = &self.sockets[self.next];
                self.next = (self.next + 1) % self.sockets.len();
                self.leak(socket)?;
            }
            sent.count += 1;
            if self.alerts.pause > 0 {
                thread::sleep(Duration::from_micros(self.alerts.pause));
            }
        }
        Ok(())
    }
}

impl Leaks {
    /// The first leak of another user's socket.
    fn begin(&mut self) -> io::Result<Alert> {
        let user = FIRST_USER + self.sockets.len() as u32;
        let socket = as_user(user, || {
            Socket::new(Domain::for_address(self.alerts.to), Type::DGRAM, None)
        })?;
        socket.bind_device(Some(self.alerts.device.as_bytes()))?;
        let cookie = socket.cookie()?;
        let alert = Alert {
            cookie,
            sent: clock::now(),
        };
        self.leak(&socket)?;
        self.sockets.push(socket);
        Ok(alert)
    }

    fn leak(&self, socket: &Socket) -> io::Result<()> {
        let extras = Extras {
            packet_info: Some(self.interface),
            ..Extras::default()
        };
        send(socket, &[0; 18], Some(self.alerts.to), extras)?;
        Ok(())
    }
}
