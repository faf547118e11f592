//! Where readers are answered.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::text::escape::visible;

/// Before the path of a socket.
const UNIX: &str = "unix:";
/// What the host itself is called.
const LOCALHOST: &str = "localhost";

/// Where readers are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// At an address of this machine.
    Tcp(SocketAddr),
    /// At a socket in the file system.
    Unix(PathBuf),
}

/// Reads `127.0.0.1:9759`, `[::1]:9759`, `localhost:9759` or `unix:PATH`.
///
/// # Errors
///
/// That it is none.
pub fn address(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return match path {
            "" => Err(
                "`unix:` has no path behind it; write unix:/run/pinif-serve/web.sock".to_owned(),
            ),
            path => Ok(Address::Unix(path.into())),
        };
    }
    let address = match text.rsplit_once(':') {
        Some((LOCALHOST, port)) => port
            .parse()
            .ok()
            .map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        _ => text.parse().ok(),
    };
    address.map(Address::Tcp).ok_or_else(|| {
        let text = visible(text);
        format!("`{text}` is no address and port; write 127.0.0.1:9759, [::1]:9759 or unix:PATH")
    })
}

impl Address {
    /// Whether only readers of this machine reach it.
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Tcp(address) => is_loopback(address.ip()),
            Self::Unix(_) => true,
        }
    }
}

/// Whether an address is of this machine alone: 127.0.0.0/8 (RFC 1122), ::1 (RFC 4291). An IPv4 address that is written as one of IPv6
/// is what it means.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A host without the brackets that an address of IPv6 stands in (RFC 3986 section 3.2.2); nothing where it has none.
pub fn bracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_this_machine_is_an_address() {
        for (text, shown) in [
            ("127.0.0.1:9759", "127.0.0.1:9759"),
            ("127.8.8.8:1", "127.8.8.8:1"),
            ("[::1]:9759", "[::1]:9759"),
            ("[::ffff:127.0.0.1]:9", "[::ffff:127.0.0.1]:9"),
            ("localhost:0", "127.0.0.1:0"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            let address = address(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert!(address.is_of_this_machine(), "{text}");
        }
    }

    #[test]
    fn what_leads_off_it_is_no_address_of_it() {
        for text in [
            "0.0.0.0:9759",
            "[::]:9759",
            "192.0.2.1:9759",
            "[::ffff:192.0.2.1]:9759",
            "[fe80::1]:9759",
        ] {
            let address = address(text).expect(text);
            assert!(!address.is_of_this_machine(), "{text}");
        }
        for text in [
            "",
            "9759",
            "127.0.0.1",
            "example.org:80",
            "unix:",
            "localhost:x",
        ] {
            let error = address(text).expect_err(text);
            assert!(error.contains("write "), "{error}");
        }
    }
}
