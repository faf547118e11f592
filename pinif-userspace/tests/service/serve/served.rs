//! A `pinif serve` that runs, and is asked.

use std::{
    ffi::OsStr,
    io::Write as _,
    net::TcpStream,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    bench::{Ended, Pinif},
    control::asked::{Place, answer, until},
};

/// A `pinif serve`; ended when dropped.
pub struct Served {
    pub pinif: Pinif,
    port: u16,
}

impl Served {
    /// Starts it beside the auditor that is at this place, or will be, and waits until it answers.
    pub fn start<A: AsRef<OsStr>>(place: &Place, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.arg("serve").args(arguments);
        Self::of(place, command)
    }

    /// The same, by a command that lacks only where.
    pub fn of(place: &Place, mut command: Command) -> Self {
        command.arg("--socket").arg(place.path());
        command.args(["--listen", "127.0.0.1:0"]);
        let mut pinif = Pinif::start(command);
        let note = pinif.wait_for_note("answering at http");
        let port = note.rsplit(':').next().and_then(|port| port.parse().ok());
        Self {
            pinif,
            port: port.expect("a port"),
        }
    }

    /// Where it answers, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// With a history in this file.
    pub fn with_history(place: &Place, file: &Path) -> Self {
        Self::start(place, [OsStr::new("--history"), file.as_os_str()])
    }

    /// Waits until it hears an auditor.
    pub fn wait_until_heard(&mut self) {
        self.pinif.wait_for_note(" is heard");
    }

    /// The status and the text of an answer to `GET`.
    pub fn get(&self, target: &str) -> (u16, String) {
        let (status, text) = self.say(&format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ));
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status, body.unwrap_or_default())
    }

    /// The same, of JSON.
    pub fn json(&self, target: &str) -> (u16, Value) {
        let (status, text) = self.get(target);
        let value = serde_json::from_str(&text);
        (
            status,
            value.unwrap_or_else(|error| panic!("{error}: {text}")),
        )
    }

    /// The same, once the auditor has answered: a slow machine takes longer than what is shown may be old.
    pub fn of_auditor(&self, target: &str) -> (u16, Value) {
        self.until(target, |served| {
            let (status, value) = served.json(target);
            (status != 503).then_some((status, value))
        })
    }

    /// What is answered to such a request.
    pub fn say(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let limit = pinif_lab::patience(Duration::from_secs(60));
        stream.set_read_timeout(Some(limit)).expect("a socket");
        stream.write_all(request.as_bytes()).expect("it is taken");
        answer(&mut stream)
    }

    /// Asks until the answer `is` it.
    pub fn until<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        until(what, || ask(self))
    }

    /// Ends it as a service manager does.
    pub fn stop(self) -> Ended {
        self.pinif.signal(Signal::SIGTERM);
        let ended = self.pinif.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        ended
    }
}

/// `pinif history` of a file.
pub fn history(file: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.arg("history").arg("--history").arg(file);
    let command = command.args(arguments.split_whitespace());
    command.output().expect("pinif runs")
}

/// What it prints, where it succeeds.
pub fn shown(file: &Path, arguments: &str) -> String {
    let output = history(file, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
