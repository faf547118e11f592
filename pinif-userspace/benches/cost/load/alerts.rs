//! Leaks to be reported: each of another user's socket, so that each is a new finding, and each with the moment before it was sent.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use pinif_lab::send::index;
use serde::{Deserialize, Serialize};
use socket2::Socket;

use super::{Sender, Sent};
use crate::clock;
use crate::leak::{FIRST_USER, leak, socket};

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

impl Sender for Leaks {
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()> {
        while Instant::now() < end {
            if self.sockets.len() < self.alerts.most as usize {
                sent.alerts.push(self.begin()?);
            } else {
                let socket = &self.sockets[self.next];
                self.next = (self.next + 1) % self.sockets.len();
                leak(socket, self.alerts.to, self.interface)?;
            }
            sent.count += 1;
            if self.alerts.pause > 0 {
                // It waits for nothing: so many leaks a second are wanted.
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
        let socket = socket(user, self.alerts.to, &self.alerts.device)?;
        let cookie = socket.cookie()?;
        let alert = Alert {
            cookie,
            sent: clock::now(),
        };
        leak(&socket, self.alerts.to, self.interface)?;
        self.sockets.push(socket);
        Ok(alert)
    }
}
