//! A `pinif serve` that answers by TLS.

use std::{process::Command, sync::Arc};

use rustls::ClientConfig;

use super::{
    issued::{Authority, Folder, Issued, Secured, ask, connect},
    served::Served,
};
use crate::control::asked::Place;

pub const NAME: &str = "card7.example";
pub const TOKEN: &str = "dGhlIGZpcnN0IG9mIHRoZSB0b2tlbnM=";
pub const OTHER: &str = "dGhlIG90aGVyIG9mIHRoZSB0b2tlbnM=";

/// A `pinif serve` with a certificate, and who issued it.
pub struct Secure {
    pub authority: Authority,
    pub folder: Folder,
    pub served: Served,
}

impl Secure {
    /// With this certificate, and what else is in the folder.
    pub fn start(
        authority: Authority,
        own: &Issued,
        folder: Folder,
        more: &[(&str, &str)],
    ) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        Self::of(&Place::new(), authority, own, folder, more, command)
    }

    /// The same, beside the auditor that is at this place, by a command that lacks all of its arguments.
    pub fn of(
        place: &Place,
        authority: Authority,
        own: &Issued,
        folder: Folder,
        more: &[(&str, &str)],
        mut command: Command,
    ) -> Self {
        folder.put_certificate(own);
        command.args(["serve", "--host", "proxy.example"]);
        let certificate = [("--tls-cert", "cert.pem"), ("--tls-key", "key.pem")];
        for (option, name) in certificate.iter().chain(more) {
            command.arg(option).arg(folder.path(name));
        }
        Self {
            served: Served::of(place, command),
            authority,
            folder,
        }
    }

    /// One that takes tokens.
    pub fn with_tokens() -> Self {
        let authority = Authority::new("cards");
        let own = authority.issue(&[NAME, "*.cards.example", "127.0.0.1", "::1"]);
        let folder = Folder::new();
        folder.put("tokens", &format!("# old and new\n{TOKEN}\n{OTHER}\n"));
        Self::start(authority, &own, folder, &[("--token-file", "tokens")])
    }

    pub fn connect(&self, config: &Arc<ClientConfig>) -> Secured {
        connect(config, ("127.0.0.1", self.served.port()), NAME)
    }

    /// Its metrics.
    pub fn metrics(&self) -> String {
        let mut stream = self.connect(&self.authority.client(None));
        let headers = [format!("Host: {NAME}"), bearer(TOKEN)];
        let answer = ask(&mut stream, &[&headers[0], &headers[1]]);
        answer.expect("an answer").1
    }

    /// The status of an answer on a connection of its own.
    pub fn status(&self, headers: &[&str]) -> u16 {
        let mut stream = self.connect(&self.authority.client(None));
        ask(&mut stream, headers).expect("an answer").0
    }
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// What a metric says.
pub fn value(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    let value = line.and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("{name}: {text}"))
}
