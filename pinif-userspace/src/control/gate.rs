//! What is asked of each request before it is looked at: for whom it is, and whether it may change anything.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header::HOST};

use super::answer::{Answer, not_allowed, problem};

/// What the auditor may be called. A browser that asks for another name was led here by a page of others.
const NAMES: [&str; 2] = ["pinif", "localhost"];

/// Why a request of this user is refused, if it is.
pub fn refusal(method: &Method, uri: &Uri, headers: &HeaderMap, uid: u32) -> Option<Answer> {
    let host = host(uri, headers);
    if !host.is_some_and(|host| NAMES.contains(&&*host)) {
        return Some(problem(
            StatusCode::MISDIRECTED_REQUEST,
            "the request is for another host",
            "ask for http://pinif, as in `curl --unix-socket PATH http://pinif/v1/status`",
        ));
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    Some(if uid == 0 {
        not_allowed()
    } else {
        problem(
            StatusCode::FORBIDDEN,
            "only root may change anything",
            "ask with GET, or as root",
        )
    })
}

/// The host that a request is for, in lower case and without a port; none where it names several.
pub(crate) fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(host) = uri.host() {
        return Some(host.to_ascii_lowercase());
    }
    let mut all = headers.get_all(HOST).iter();
    let (Some(host), None) = (all.next(), all.next()) else {
        return None;
    };
    let host = host.to_str().ok()?;
    // An address of IPv6 stands in brackets (RFC 3986 section 3.2.2).
    let end = host.find(']').map_or(0, |bracket| bracket + 1);
    let name = host[end..]
        .find(':')
        .map_or(host, |port| &host[..end + port]);
    Some(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, hosts: &[&str], uid: u32) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().expect("a value"));
        }
        let uri = Uri::from_static("/v1/status");
        refusal(&method, &uri, &headers, uid).map(|answer| answer.status().as_u16())
    }

    #[test]
    fn only_what_is_for_pinif_is_answered() {
        for hosts in [&["pinif"][..], &["localhost"], &["PINIF:80"]] {
            assert_eq!(status(Method::GET, hosts, 1000), None, "{hosts:?}");
        }
        for hosts in [
            &[][..],
            &[""],
            &["attacker.example"],
            &["pinif.attacker.example"],
            &["pinif", "attacker.example"],
            &["[::1]:80"],
            &["pinif]:80"],
        ] {
            assert_eq!(status(Method::GET, hosts, 0), Some(421), "{hosts:?}");
        }
    }

    #[test]
    fn a_host_has_no_port() {
        let named = |text: &str| {
            let headers = HeaderMap::from_iter([(HOST, text.parse().expect("a value"))]);
            host(&Uri::from_static("/"), &headers)
        };
        for (text, name) in [
            ("LocalHost:9759", "localhost"),
            ("127.0.0.1:9759", "127.0.0.1"),
            ("[::1]:9759", "[::1]"),
            ("[::1]", "[::1]"),
            ("[::1", "["),
        ] {
            assert_eq!(named(text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn nobody_changes_anything_not_even_root() {
        assert_eq!(status(Method::HEAD, &["pinif"], 1000), None);
        assert_eq!(status(Method::POST, &["pinif"], 1000), Some(403));
        assert_eq!(status(Method::POST, &["pinif"], 0), Some(405));
        assert_eq!(status(Method::DELETE, &["pinif"], 0), Some(405));
        assert_eq!(status(Method::CONNECT, &["pinif"], 0), Some(405));
    }
}
