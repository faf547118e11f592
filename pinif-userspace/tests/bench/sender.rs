//! `pinif-sender` as a child.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;

use pinif_lab::Namespace;
use serde::Deserialize;

use super::lines::{Lines, Next};

/// What a sender says it sent.
#[derive(Clone, Debug, Deserialize)]
pub struct Sent {
    /// Messages, or connections, that the kernel took.
    pub sent: u64,
    /// The process.
    pub pid: u32,
    /// The socket's last address.
    pub local: Option<String>,
    /// The socket's cookie.
    pub cookie: u64,
    /// How often the kernel refused, by the error's name.
    pub refused: BTreeMap<String, u64>,
}

/// Its executable: an example of this package, which cargo and nextest build with the tests, beside pinif.
pub static SENDER: LazyLock<&str> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_BIN_EXE_pinif")).with_file_name("examples/pinif-sender");
    assert!(
        path.is_file(),
        "there is no {}: build it with `cargo build --package pinif-userspace --example pinif-sender`, by the tests' profile",
        path.display()
    );
    path.into_os_string()
        .into_string()
        .expect("a path that is text")
        .leak()
});

/// A running sender; ended when dropped.
pub struct Sender {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines,
    stderr: Lines,
    arguments: String,
}

impl Sender {
    pub(super) fn start(namespace: &Namespace, cgroup: Option<&Path>, arguments: &str) -> Self {
        Self::start_as(SENDER.as_ref(), namespace, cgroup, arguments)
    }

    /// Starts it by another path, after whose last part the process is called.
    pub fn start_as(
        path: &Path,
        namespace: &Namespace,
        cgroup: Option<&Path>,
        arguments: &str,
    ) -> Self {
        let mut command = Command::new(path);
        command.args(["--netns", namespace.name()]);
        Self::start_by(command, cgroup, arguments)
    }

    /// Starts it by a command that stands before its arguments.
    pub fn start_by(mut command: Command, cgroup: Option<&Path>, arguments: &str) -> Self {
        if let Some(cgroup) = cgroup {
            command.arg("--cgroup").arg(cgroup);
        }
        command.args(arguments.split_whitespace());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("cannot start pinif-sender");
        Self {
            stdin: child.stdin.take().expect("piped"),
            stdout: Lines::of(child.stdout.take().expect("piped")),
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
            arguments: arguments.to_owned(),
        }
    }

    /// Waits until it says `word` (`ready`, `paused`).
    pub fn wait_for(&mut self, word: &str) -> &mut Self {
        match self.stdout.next() {
            Next::Line(line) if line == word => self,
            Next::Line(line) => panic!(
                "pinif-sender {} said {line:?} instead of {word:?}",
                self.arguments
            ),
            Next::End => panic!("pinif-sender {} ended: {}", self.arguments, self.errors()),
            Next::Silence => panic!("pinif-sender {} never said {word:?}", self.arguments),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go on.
    pub fn go(&mut self) -> &mut Self {
        self.stdin.write_all(b"\n").expect("the sender waits");
        self
    }

    /// Lets it go on, and waits for its end.
    pub fn go_and_finish(mut self) -> Sent {
        self.go();
        self.finish()
    }

    /// Waits until it says what it sent, though it stays.
    pub fn sent(&mut self) -> Sent {
        match self.stdout.next() {
            Next::Line(line) => {
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
            }
            Next::End => panic!("pinif-sender {} ended: {}", self.arguments, self.errors()),
            Next::Silence => panic!("pinif-sender {} sends nothing", self.arguments),
        }
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Sent {
        let lines = self.stdout.rest();
        let Some(lines) = lines else {
            panic!("pinif-sender {} does not end", self.arguments)
        };
        let status = self.child.wait().expect("a child");
        assert!(
            status.success(),
            "pinif-sender {}: {}",
            self.arguments,
            self.errors()
        );
        let last = lines
            .last()
            .expect("a sender's last line says what it sent");
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{last}: {error}"))
    }

    fn errors(&self) -> String {
        self.stderr
            .rest()
            .map_or("(it goes on)".to_owned(), |lines| lines.join("\n"))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
