//! Where a collector takes what is sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{Uri, uri::Scheme};

use super::super::address::{bracketed, is_loopback};
use crate::text::escape::visible;

/// The ports, where none is named: those of HTTP (RFC 9110 section 4.2).
const HTTP: u16 = 80;
const HTTPS: u16 = 443;
/// What the host itself is called.
const LOCALHOST: &str = "localhost";

/// A collector's URL, to which the paths of the signals are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it is spoken to by TLS.
    pub is_secure: bool,
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Host and port as the URL has them, and the header `Host` wants them.
    pub authority: String,
    /// The URL names a user, and a password perhaps, which is left out here: whoever refuses it need not show it.
    pub has_user: bool,
    /// The path, without a slash at its end.
    pub path: String,
}

/// A host: a name, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// It has to be looked up.
    Name(String),
    /// It is known.
    Address(IpAddr),
}

/// Reads a URL such as `http://10.0.0.1:4318` or `https://collector.example/otlp`.
///
/// # Errors
///
/// What is wrong with it.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    let wrong = || {
        format!(
            "`{}` is no URL of a collector; write http://10.0.0.1:4318 or https://collector.example:4318",
            visible(&without_secrets(text))
        )
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_secure = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        _ => return Err(wrong()),
    };
    let authority = uri.authority().ok_or_else(wrong)?;
    if uri.query().is_some() || authority.host().is_empty() {
        return Err(wrong());
    }
    let (user, bare) = match authority.as_str().rsplit_once('@') {
        Some((_, bare)) => (true, bare),
        None => (false, authority.as_str()),
    };
    let port = match authority.port() {
        Some(port) => port.as_u16(),
        // `http://host:` and `http://host:99999` have no port that can be read.
        None if bare != authority.host() => return Err(wrong()),
        None if is_secure => HTTPS,
        None => HTTP,
    };
    Ok(Endpoint {
        is_secure,
        host: host(authority.host()),
        port,
        authority: bare.to_owned(),
        has_user: user,
        path: uri.path().trim_end_matches('/').to_owned(),
    })
}

/// A URL as a message shows it, be it wrong: `…` stands for who asks with which password, and for a query or a fragment, in which there may be a
/// token.
fn without_secrets(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let marks = ['?', '#'];
    // A password that is not encoded may have a mark in it, and a query an `@`: which it is cannot be known.
    if rest
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(marks))
    {
        return format!("{scheme}…");
    }
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    match rest.find(marks) {
        Some(at) => format!("{scheme}{user}{}…", &rest[..=at]),
        None => format!("{scheme}{user}{rest}"),
    }
}

fn host(text: &str) -> Host {
    match bracketed(text).unwrap_or(text).parse() {
        Ok(address) => Host::Address(address),
        Err(_) if text.eq_ignore_ascii_case(LOCALHOST) => {
            Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
        Err(_) => Host::Name(text.to_owned()),
    }
}

impl Endpoint {
    /// Its address, where it does not have to be looked up.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Name(_) => None,
            Host::Address(address) => Some(SocketAddr::new(address, self.port)),
        }
    }

    /// Whether what is sent there is seen by nobody on the way.
    pub fn is_private(&self) -> bool {
        let is_here = |address: SocketAddr| is_loopback(address.ip());
        self.is_secure || self.address().is_some_and(is_here)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_what_it_leaves_out() {
        for (text, shown, port, address) in [
            (
                "http://10.0.0.1:4318",
                "http://10.0.0.1:4318",
                4318,
                Some("10.0.0.1:4318"),
            ),
            (
                "http://10.0.0.1:4318/",
                "http://10.0.0.1:4318",
                4318,
                Some("10.0.0.1:4318"),
            ),
            (
                "https://[fd00::1]/a/b/",
                "https://[fd00::1]/a/b",
                443,
                Some("[fd00::1]:443"),
            ),
            (
                "http://localhost",
                "http://localhost",
                80,
                Some("127.0.0.1:80"),
            ),
            (
                "HTTP://collector.example",
                "http://collector.example",
                80,
                None,
            ),
        ] {
            let endpoint = endpoint(text).expect(text);
            assert_eq!(
                (endpoint.to_string(), endpoint.port),
                (shown.to_owned(), port)
            );
            let address = address.map(|address| address.parse().expect(text));
            assert_eq!(endpoint.address(), address);
        }
    }

    #[test]
    fn what_is_sent_in_the_clear_off_this_machine_is_not_private() {
        for (text, is_private) in [
            ("https://collector.example", true),
            ("http://127.0.0.1:4318", true),
            ("http://localhost:4318", true),
            ("http://10.0.0.1:4318", false),
            ("http://collector.example", false),
        ] {
            assert_eq!(
                endpoint(text).expect(text).is_private(),
                is_private,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "10.0.0.1:4318",
            "grpc://10.0.0.1:4317",
            "http://",
            "http://:4318",
            "http://a:",
            "http://a:99999",
            "http://a/?token=b",
            "/v1/logs",
        ] {
            let error = endpoint(text).expect_err(text);
            assert!(error.contains("is no URL of a collector"), "{error}");
        }
        let with = endpoint("http://user:secret@a:1").expect("a password");
        assert!(with.has_user);
        assert_eq!(format!("{with} {}", with.authority), "http://a:1 a:1");
    }
    #[test]
    fn what_is_wrong_is_shown_without_a_password() {
        for (text, shown) in [
            (
                "http://user:hunter2@10.0.0.1:99999",
                "http://…@10.0.0.1:99999",
            ),
            ("htp://user:hunter2@h", "htp://…@h"),
            ("user:hunter2@h", "…@h"),
            ("http://h:1/?token=hunter2", "http://h:1/?…"),
            ("http://h:1/?token=hunter2@x", "http://…"),
            ("http://user:hun?ter2@h", "http://…"),
            ("http://h:1/#hunter2", "http://h:1/#…"),
            ("grpc://h:1/a", "grpc://h:1/a"),
        ] {
            let shown = format!("`{shown}` is no URL");
            match endpoint(text) {
                Err(error) => assert!(error.starts_with(&shown), "{error}"),
                Ok(endpoint) => assert!(!endpoint.to_string().contains("hunter2"), "{text}"),
            }
        }
    }
}
