//! An auditor that is asked: by the client, and in bare HTTP.

use std::{
    io::{Read, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use pinif_userspace::control::{Client, ClientError};
use tempfile::TempDir;

use crate::bench::{Auditor, Bench};

/// One packet of each of these leaks.
pub const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";

/// Where an auditor listens: a folder that goes with this.
pub struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pinif.sock");
        Self {
            _folder: folder,
            path,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts an auditor that listens here.
    pub fn audit<'b>(&self, bench: &'b Bench, arguments: &[&str]) -> Auditor<'b> {
        let setup = bench.auditor().arguments(arguments);
        setup.arguments([Path::new("--socket"), &self.path]).start()
    }

    /// The command with these arguments, which asks here.
    pub fn pinif(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.args(arguments.split_whitespace());
        command.arg("--socket").arg(&self.path);
        command
    }

    /// Asks with a client.
    pub fn ask<T>(&self, question: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>) -> T {
        self.try_to_ask(question).expect("an answer")
    }

    pub fn try_to_ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        run(async {
            let mut client = Client::find(Some(&self.path))?;
            question(&mut client).await
        })
    }

    /// A connection on which nothing is said yet.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).expect("it listens");
        let limit = pinif_lab::patience(Duration::from_secs(60));
        stream.set_read_timeout(Some(limit)).expect("a socket");
        stream
    }

    /// What is answered to these bytes, until the end: the status and the rest.
    pub fn say(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        // It may have read enough to refuse it, and go.
        let _ = stream.write_all(bytes);
        answer(&mut stream)
    }

    /// The answer to `GET`, in bare HTTP.
    pub fn get(&self, target: &str) -> (u16, serde_json::Value) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n");
        let (status, text) = self.say(request.as_bytes());
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let value = serde_json::from_str(body);
        (
            status,
            value.unwrap_or_else(|error| panic!("{error}: {text}")),
        )
    }
}

/// Reads a connection to its end: the status and all of it.
pub fn answer(stream: &mut impl Read) -> (u16, String) {
    let mut bytes = Vec::new();
    // A reset comes after what was said.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.unwrap_or_default(), text)
}

/// Asks until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + pinif_lab::patience(Duration::from_secs(120));
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what} does not come");
        // Whoever is asked shares the processor.
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}
