//! Thousands of findings that are new at once: whoever asks meanwhile is answered.

use std::{io, net::SocketAddr};

use nix::sys::signal::Signal;
use pinif_lab::{
    send::{Extras, send},
    socket::as_user,
};
use pinif_userspace::control::{FindingsFilter, protocol::FindingsPage};
use socket2::{Domain, Socket, Type};

use std::io::Write as _;

use super::asked::{Place, answer};
use crate::bench::scenario;

/// How many rules there are, each with a rate of new findings of its own, and how many users break each of them.
const RULES: u16 = 200;
const USERS: u32 = 10;
const ALL: u64 = RULES as u64 * USERS as u64;
/// No account has it, nor those after it.
const FIRST_USER: u32 = 3_000_000;
const FIRST_PORT: u16 = 1_000;

fn policy() -> String {
    let rule = |number| {
        let port = FIRST_PORT + number;
        format!("[[rule]]\nname = \"rule{number}\"\nport = {port}\nonly_via = [\"backplane\"]\n")
    };
    let rules: String = (0..RULES).map(rule).collect();
    format!("[zone.backplane]\ninterfaces = [\"fab*\"]\n{rules}")
}

fn leak() -> io::Result<()> {
    for user in FIRST_USER..FIRST_USER + USERS {
        let socket = as_user(user, || Socket::new(Domain::IPV4, Type::DGRAM, None))?;
        for port in FIRST_PORT..FIRST_PORT + RULES {
            let to = SocketAddr::from(([203, 0, 113, 9], port));
            send(&socket, &[0; 18], Some(to), Extras::default())?;
        }
    }
    Ok(())
}

#[test]
fn whoever_asks_does_not_wait_until_all_findings_are_reported() {
    scenario("control flood", &[], |bench| {
        let place = Place::new();
        let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
        std::fs::write(file.path(), policy()).expect("it is written");
        let path = file.path().to_str().expect("a path");
        let auditor = place.audit(bench, &["--policy", path]);
        // All of it is there before it goes on, the question too.
        auditor.signal(Signal::SIGSTOP);
        bench
            .card()
            .run(leak)
            .expect("the namespace")
            .expect("all is sent");
        let mut asked = place.connect();
        asked
            .write_all(
                b"GET /v1/findings?limit=1 HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n",
            )
            .expect("there is room");
        auditor.signal(Signal::SIGCONT);
        let (status, text) = answer(&mut asked);
        assert_eq!(status, 200, "{text}");
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let first: FindingsPage = serde_json::from_str(body).expect("a page");
        assert!(first.total < ALL, "answered after all of them");

        let filter = FindingsFilter {
            limit: Some(1),
            ..FindingsFilter::default()
        };
        while place
            .ask(async |client| client.findings(&filter).await)
            .total
            < ALL
        {}
        let report = auditor.stop();
        assert_eq!(report.summary.findings, ALL, "{report}");
        assert!(report.summary.uncounted.is_empty(), "{report}");
    });
}
