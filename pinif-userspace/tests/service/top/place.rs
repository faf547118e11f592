//! A place for an auditor and those who watch it.

use std::path::PathBuf;
use std::process::Command;

use pinif_userspace::control::Client;
use pinif_userspace::control::protocol::MatrixNow;
use tempfile::TempDir;

use super::pty::{Pty, Session};
use crate::bench::{Auditor, Bench};

/// A socket bound to the backplane sends by the front.
pub const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count";
/// How many columns and lines a terminal has.
pub const USUAL: (u16, u16) = (100, 30);

/// A place for an auditor's socket.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn socket(&self) -> PathBuf {
        self.0.path().join("pinif.sock")
    }

    pub fn audit<'a>(&self, bench: &'a Bench) -> Auditor<'a> {
        let socket = self.socket();
        let setup = bench.auditor().arguments(["--socket"]).arguments([socket]);
        setup.start()
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.args(["top", "--socket"]).arg(self.socket());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command
    }

    pub fn top(&self) -> Pty {
        Pty::start(self.command(), USUAL, Session::Own)
    }

    /// What the auditor itself says of the matrix.
    pub fn matrix(&self) -> MatrixNow {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().expect("a runtime");
        let mut client = Client::find(Some(&self.socket())).expect("it is named");
        runtime.block_on(client.matrix()).expect("it answers")
    }
}
