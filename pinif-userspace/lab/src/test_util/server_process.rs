//! Programs that others wrote and that run beside what is tested or measured.

use std::{
    ffi::OsString,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::patience;

/// Debian's Alertmanager looks for its templates below `/usr`, where they are not: it gets a `/usr/share` of its own.
const ALERTMANAGER: &str = "mount -t tmpfs none /usr/share; cd /usr/share; mkdir -p prometheus/alertmanager; \
     cp \"$0\"/*.tmpl prometheus/alertmanager; exec \"$0\"/prometheus-alertmanager \"$@\"";

/// An address of this host, at a port that nobody has.
///
/// # Errors
/// Where there is none.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// A program that runs; killed when dropped.
#[derive(Debug)]
pub struct ServerProcess(Child);

impl ServerProcess {
    /// Starts it, and has it neither read nor say anything.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(command: &mut Command) -> Result<Self> {
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = quiet.spawn();
        let name = command.get_program().display();
        Ok(Self(child.with_context(|| format!("cannot start {name}"))?))
    }

    /// An Alertmanager of this directory with this configuration, which keeps its alerts in that folder and answers at this port.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn alertmanager(
        programs: &Path,
        configuration: &Path,
        alerts: &Path,
        port: u16,
    ) -> Result<Self> {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-e", "-c", ALERTMANAGER])
            .arg(programs)
            .arg(option("config.file", configuration))
            .arg(option("storage.path", alerts))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            // It speaks to no other.
            .arg("--cluster.listen-address=");
        Self::start(&mut command)
    }

    /// A Prometheus of this directory with this configuration, which keeps its data in that folder and answers at this port.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn prometheus(
        programs: &Path,
        configuration: &Path,
        data: &Path,
        port: u16,
    ) -> Result<Self> {
        let mut command = Command::new(programs.join("prometheus"));
        command
            .arg(option("config.file", configuration))
            .arg(option("storage.tsdb.path", data))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Self::start(&mut command)
    }

    /// A VictoriaMetrics of this directory, which keeps its data in that folder and answers at this address.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn victoria_metrics(programs: &Path, data: &Path, address: SocketAddr) -> Result<Self> {
        let mut command = Command::new(programs.join("victoria-metrics"));
        command
            .arg(option("storageDataPath", data))
            .arg(format!("--httpListenAddr={address}"))
            // It would not answer with what is newer than that.
            .arg("--search.latencyOffset=0s");
        Self::start(&mut command)
    }

    /// Waits until it listens there.
    ///
    /// # Errors
    /// Where it ends before, or does not.
    pub fn listening_at(mut self, address: SocketAddr) -> Result<Self> {
        let end = Instant::now() + patience(Duration::from_secs(60));
        while TcpStream::connect(address).is_err() {
            ensure!(
                !self.has_ended()? && Instant::now() < end,
                "nothing listens at {address}"
            );
            // It says nothing when it does, and shares the processor with whoever asks.
            thread::sleep(Duration::from_millis(20));
        }
        Ok(self)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn option(name: &str, value: &Path) -> OsString {
    let mut option = OsString::from(format!("--{name}="));
    option.push(value);
    option
}
