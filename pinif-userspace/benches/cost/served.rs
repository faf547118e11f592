//! `pinif serve` beside an auditor.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::auditor::PINIF;
use crate::web;

/// `pinif serve`; ended when dropped.
pub struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    /// Starts it for the auditor at a socket, with these options besides, and waits until it answers.
    ///
    /// # Errors
    /// Where it does not.
    pub fn start<A: AsRef<OsStr>>(
        socket: &Path,
        options: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut child = Command::new(PINIF)
            .args(["serve", "--listen", "127.0.0.1:0", "--socket"])
            .arg(socket)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start pinif serve")?;
        let stderr = child.stderr.take().context("it has no errors")?;
        let mut served = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut lines = BufReader::new(stderr).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, place) = line.split_once("answering at http://127.0.0.1:")?;
            place.trim_end_matches('/').parse().ok()
        });
        served
            .address
            .set_port(port.context("pinif serve does not answer")?);
        // What else it says is not to block it.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(served)
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The metrics of the auditor and its own.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn metrics(&self) -> Result<String> {
        web::get(self.address, "/metrics")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _asked = kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGTERM,
        );
        let _ended = self.child.wait();
    }
}
