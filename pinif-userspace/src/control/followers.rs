//! Who is going to follow events, which is known by the first bytes of the request.
//!
//! Those are served in the collector's thread: it wakes for each event anyway, and a line of it is written once for all of them. All else is
//! asked of the server's own thread, where nobody takes the collector's time.

use std::{io, os::fd::AsRawFd as _, time::Duration};

use nix::sys::socket::{MsgFlags, recv};
use tokio::{io::Interest, net::UnixStream, time::timeout};

use super::protocol::path;

/// How the request begins.
const METHOD: &[u8] = b"GET ";

/// Whether the first request of a connection is for events. Nothing is read of it. One that does not come within `patience` is for nothing.
pub(super) async fn follows(stream: &UnixStream, patience: Duration) -> bool {
    let look = || {
        let mut first = [0; METHOD.len() + path::EVENTS.len() + 1];
        let length = recv(stream.as_raw_fd(), &mut first, MsgFlags::MSG_PEEK)?;
        // Until more has come.
        is_for_events(&first[..length]).ok_or_else(|| io::ErrorKind::WouldBlock.into())
    };
    let looked = timeout(patience, stream.async_io(Interest::READABLE, look)).await;
    matches!(looked, Ok(Ok(true)))
}

/// Whether a request that begins so is for events; nothing where that is not known yet.
fn is_for_events(first: &[u8]) -> Option<bool> {
    let wanted = [METHOD, path::EVENTS.as_bytes()].concat();
    match first.get(wanted.len()) {
        Some(next) => Some(first.starts_with(&wanted) && matches!(next, b' ' | b'?')),
        // Nothing at all is the end.
        None if !first.is_empty() && wanted.starts_with(first) => None,
        None => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_request_is_known_by_its_first_bytes() {
        for events in [
            "GET /v1/events HTTP/1.1\r\n",
            "GET /v1/events?kind=arp-flux HTTP",
        ] {
            assert_eq!(is_for_events(events.as_bytes()), Some(true), "{events}");
        }
        for other in [
            "",
            "POST /v1/events ",
            "GET /v1/eventsource ",
            "GET /v1/status",
            "HEAD",
        ] {
            assert_eq!(is_for_events(other.as_bytes()), Some(false), "{other}");
        }
        for part in ["G", "GET ", "GET /v1/events"] {
            assert_eq!(is_for_events(part.as_bytes()), None, "{part}");
        }
    }

    #[tokio::test]
    async fn one_that_comes_in_parts_is_waited_for_and_nothing_of_it_is_lost() {
        let (own, mut peer) = std::os::unix::net::UnixStream::pair().expect("sockets");
        own.set_nonblocking(true).expect("a socket");
        let own = UnixStream::from_std(own).expect("a socket");
        peer.write_all(b"GET /v1/ev").expect("it is taken");
        let (is_it, ()) = tokio::join!(follows(&own, PATIENCE), async {
            tokio::task::yield_now().await;
            peer.write_all(b"ents HTTP/1.1\r\n").expect("it is taken");
        });
        assert!(is_it);
        let mut all = [0; 64];
        let length = own.try_read(&mut all).expect("all of it");
        assert_eq!(&all[..length], b"GET /v1/events HTTP/1.1\r\n");
        // Silence is no wish.
        assert!(!follows(&own, Duration::ZERO).await);
        drop(peer);
        assert!(!follows(&own, PATIENCE).await);
    }
}
