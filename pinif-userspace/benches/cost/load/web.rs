//! Short connections of a web server: nginx answers them, and wrk makes them, each for one request.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::unistd::Pid;
use pinif_lab::ServerProcess;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{Sender, Sent, enter};
use crate::clock;

/// A server, and what connects to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Web {
    /// Where the programs are, which `cargo xtask bench` brings.
    pub programs: PathBuf,
    /// Where the server listens.
    pub at: SocketAddr,
    /// The mount of the namespace that it is asked from.
    pub peer: PathBuf,
    /// The cgroup of what asks it.
    pub unwatched: PathBuf,
}

/// nginx as one process, which closes each connection. Its paths are below the folder that it is given (`-p`).
const CONFIGURATION: &str = "daemon off; master_process off; user root; pid pid; error_log stderr crit;
events { worker_connections 1024; }
http {
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    access_log off; keepalive_timeout 0;
    server { listen LISTEN backlog=1024; location / { return 200 \"here\"; } }
}
";

/// How many connections there are at a time.
const CONNECTIONS: &str = "8";

/// Enters a cgroup, and becomes a program.
const IN_CGROUP: &str = r#"echo 0 > "$0/cgroup.procs" && exec "$@""#;

impl Web {
    pub(super) fn open(self) -> Result<Serving> {
        let directory = tempfile::tempdir()?;
        let configuration = directory.path().join("nginx.conf");
        let text = CONFIGURATION.replace("LISTEN", &self.at.to_string());
        fs::write(&configuration, text)?;
        let mut nginx = Command::new(self.programs.join("nginx"));
        nginx
            .env("LD_LIBRARY_PATH", self.programs.join("lib"))
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&configuration)
            .args(["-e", "stderr"]);
        let server = ServerProcess::start(&mut nginx)?.listening_at(self.at)?;
        Ok(Serving {
            server,
            order: self,
            _directory: directory,
        })
    }
}

/// A server that serves.
pub(super) struct Serving {
    server: ServerProcess,
    order: Web,
    _directory: TempDir,
}

impl Serving {
    /// Has wrk ask for as many seconds, and returns what it says.
    fn ask(&self, seconds: u64) -> Result<String> {
        let Web {
            programs,
            at,
            peer,
            unwatched,
        } = &self.order;
        let mut wrk = Command::new("sh");
        wrk.env("LD_LIBRARY_PATH", programs.join("lib"))
            .args(["-e", "-c", IN_CGROUP])
            .arg(unwatched)
            .arg(programs.join("wrk"))
            .args(["--threads", "1", "--connections", CONNECTIONS])
            .args(["--duration", &format!("{seconds}s")])
            .args(["--header", "Connection: close"])
            .arg(format!("http://{at}/"));
        // In a thread of its own, whose namespace the program begins in.
        let asked = thread::scope(|scope| {
            let asking = scope.spawn(|| -> Result<_> {
                enter(peer)?;
                wrk.output().context("cannot start wrk")
            });
            asking.join().expect("it does not panic")
        })?;
        Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
    }

    /// How long the server was on a processor, and all that has asked it.
    fn busy(&self) -> Result<Duration> {
        let server = clock::busy(Pid::from_raw(self.server.id().cast_signed()))?;
        let asked = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let asked = asked.user_time() + asked.system_time();
        Ok(server + Duration::from_micros(asked.num_microseconds().unsigned_abs()))
    }
}

impl Sender for Serving {
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()> {
        let seconds = end.saturating_duration_since(Instant::now()).as_secs_f64();
        let before = self.busy().map_err(io::Error::other)?;
        // It knows whole seconds.
        let said = self
            .ask((seconds.round() as u64).max(1))
            .map_err(io::Error::other)?;
        let after = self.busy().map_err(io::Error::other)?;
        sent.busy += (after - before).as_nanos() as u64;
        sent.count += answered(&said)
            .ok_or_else(|| io::Error::other(format!("wrk was not answered: {said}")))?;
        Ok(())
    }
}

/// How many requests wrk says that were answered; nothing where one failed.
fn answered(said: &str) -> Option<u64> {
    let failed = ["Socket errors", "Non-2xx"];
    let has_failed = failed.iter().any(|words| said.contains(words));
    let mut lines = said.lines().map(str::trim);
    let line = lines.find(|line| line.contains(" requests in "))?;
    let count = line.split_whitespace().next()?.parse().ok();
    count.filter(|_| !has_failed)
}
