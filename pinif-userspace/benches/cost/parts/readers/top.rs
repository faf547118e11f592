//! What `pinif top` takes of a processor, on a terminal that somebody looks at.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::pty::{Winsize, openpty};
use nix::unistd::Pid;

use super::at_most;
use crate::auditor::PINIF;
use crate::clock;
use crate::report::Row;

/// How long a view is shown before it is measured, and while it is.
const SETTLE: Duration = Duration::from_millis(2_000);
const WINDOW: Duration = Duration::from_secs(5);
/// How much of a processor it may take, in per cent.
const MOST: f64 = 5.0;
/// The views that show most, each by its key.
const VIEWS: [(&str, &str); 4] = [
    ("top, overview", "1"),
    ("top, matrix", "2"),
    ("top, findings", "3"),
    ("top, sockets", "4"),
];

/// Shows the auditor at this socket.
///
/// # Errors
/// Where it does not.
pub(super) fn rows(host: &str, socket: &Path) -> Result<Vec<Row>> {
    let mut top = Top::start(socket)?;
    let mut rows = Vec::new();
    for (view, key) in VIEWS {
        top.terminal.write_all(key.as_bytes())?;
        thread::sleep(SETTLE);
        let (start, before) = (clock::now(), top.busy()?);
        thread::sleep(WINDOW);
        let (end, after) = (clock::now(), top.busy()?);
        let share = (after - before).as_nanos() as f64 / (end - start) as f64 * 100.0;
        let row = Row::new(
            [host, view, "its own processor time"],
            "% of one",
            vec![share],
        );
        rows.push(at_most(row, MOST));
    }
    Ok(rows)
}

/// `pinif top` on a terminal of its own; ended when dropped.
struct Top {
    child: Child,
    terminal: File,
}

impl Top {
    fn start(socket: &Path) -> Result<Self> {
        let size = Winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None).context("there is no terminal")?;
        let child = Command::new(PINIF)
            .args(["top", "--socket"])
            .arg(socket)
            .env("TERM", "xterm-256color")
            .stdin(pty.slave.try_clone()?)
            .stdout(pty.slave.try_clone()?)
            .stderr(pty.slave)
            .spawn()
            .context("cannot start pinif top")?;
        let mut terminal = File::from(pty.master);
        let mut shown = terminal.try_clone()?;
        let top = Self {
            child,
            terminal: terminal.try_clone()?,
        };
        let mut first = [0; 1 << 12];
        ensure!(terminal.read(&mut first)? > 0, "pinif top shows nothing");
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            // It fails once nobody has the other end any more.
            while matches!(shown.read(&mut buffer), Ok(1..)) {}
        });
        Ok(top)
    }

    fn busy(&mut self) -> Result<Duration> {
        ensure!(self.child.try_wait()?.is_none(), "pinif top ended");
        clock::busy(Pid::from_raw(self.child.id().cast_signed()))
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _asked = self.terminal.write_all(b"q");
        thread::sleep(Duration::from_millis(100));
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
