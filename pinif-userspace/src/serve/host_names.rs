//! What this machine may be called by whoever asks. A browser that asks for another name was led here by a page of others.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{
    address::{bracketed, is_loopback},
    secure::InForce,
};

/// The names of a machine for readers of its own.
const LOCAL: [&str; 2] = ["localhost", "pinif"];

/// Its names.
#[derive(Debug, Default)]
pub struct HostNames {
    named: Vec<String>,
    secure: Option<Arc<InForce>>,
}

impl HostNames {
    /// Those that the operator names, and those of the certificate that is in force; where there is none, those for readers of this machine.
    pub fn new(named: &[String], secure: Option<Arc<InForce>>) -> Self {
        Self {
            named: named.iter().map(|name| name.to_ascii_lowercase()).collect(),
            secure,
        }
    }

    /// Whether this is one, in lower case and without a port.
    pub fn have(&self, host: &str) -> bool {
        let is_own = match &self.secure {
            Some(secure) => secure.now().is_for(host),
            None => is_of_this_machine(host),
        };
        is_own || self.named.iter().any(|name| name == host)
    }

    /// What to ask for.
    pub fn fix(&self) -> &'static str {
        match self.secure {
            Some(_) => "ask for a name of the certificate, or one that --host names",
            None => "ask for http://localhost, as in `curl http://localhost:9759/v1/status`",
        }
    }
}

/// Whether a name is of this machine: one of its own, or a loopback address, as it is listened at.
fn is_of_this_machine(host: &str) -> bool {
    let address = match bracketed(host) {
        Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    LOCAL.contains(&host) || address.is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::is_of_this_machine;

    #[test]
    fn what_may_be_listened_at_may_be_asked_for() {
        for host in [
            "localhost",
            "pinif",
            "127.0.0.1",
            "127.8.8.8",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_of_this_machine(host), "{host}");
        }
        for host in [
            "",
            "attacker.example",
            "192.0.2.1",
            "::1",
            "[::1",
            "[127.0.0.1]",
            "[::ffff:192.0.2.1]",
            "[fe80::1]",
        ] {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }
}
