//! How many may ask, and what a reader costs that does not read.

use std::{
    fs::{Permissions, set_permissions},
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
};

use pinif_lab::socket::as_peer;

use super::asked::{LEAK, Place, answer, until};
use crate::bench::{leak, scenario};

const EVENTS: &[u8] = b"GET /v1/events HTTP/1.1\r\nHost: pinif\r\n\r\n";

/// A connection that follows events, with its first line read.
fn follow(place: &Place) -> BufReader<UnixStream> {
    let mut stream = place.connect();
    stream.write_all(EVENTS).expect("it is taken");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains("\"type\":\"status\"") {
        line.clear();
        assert_ne!(reader.read_line(&mut line).expect("a line"), 0, "it ended");
    }
    reader
}

#[test]
fn sixteen_follow_and_others_are_answered_beside_them() {
    scenario("control readers", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let mut followers: Vec<_> = (0..16).map(|_| follow(&place)).collect();
        let (status, text) =
            place.say(b"GET /v1/events HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n");
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("too many follow"), "{text}");
        let known = place.ask(async |client| client.status().await).readers;
        assert_eq!(known.iter().filter(|reader| reader.follows).count(), 16);
        assert_eq!(known.len(), 17);
        assert!(
            known
                .iter()
                .all(|reader| reader.uid == 0 && reader.pid == Some(std::process::id()))
        );

        // As many as there are places. One that was asked before may leave its own while they come.
        let mut idle: Vec<_> = (0..15).map(|_| place.connect()).collect();
        while place.get("/v1/status").0 != 503 {
            assert!(idle.len() < 64, "there is a place for each");
            idle.push(place.connect());
        }
        drop(idle);
        followers.pop();
        // Whoever has gone makes room; that it has is known a moment later.
        until("a place", || {
            (place.get("/v1/status").0 == 200).then_some(())
        });
        follow(&place);
        auditor.stop().expect().nothing_else();
    });
}

/// Whoever may ask and says nothing holds the places of others for ten seconds, none of root's, and its own share alone of the rest.
#[test]
fn root_is_answered_beside_as_many_silent_connections_as_there_can_be() {
    scenario("control silent", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let folder = place.path().parent().expect("a folder");
        set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
        set_permissions(place.path(), Permissions::from_mode(0o666)).expect("it is ours");
        let connect = || (0..120).map(|_| place.connect()).collect();
        let silent: Vec<UnixStream> = as_peer(65_534, connect);
        assert_eq!(place.get("/v1/status").0, 200);
        // Nor any of another user's.
        assert_eq!(as_peer(65_533, || place.get("/v1/status").0), 200);
        // It did not wait until they were given up.
        let open = silent.iter().take(8).filter(|stream| {
            stream.set_nonblocking(true).expect("a socket");
            let mut stream = *stream;
            let error = stream.read(&mut [0]).err();
            error.is_some_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        assert_eq!(open.count(), 8);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn a_reader_that_stands_still_costs_no_count() {
    scenario("control stopped reader", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let stopped = follow(&place);
        let sent = bench.send(&format!("{LEAK} --count 200000"));
        let counted = place.ask(async |client| client.findings(&Default::default()).await);
        assert_eq!(counted.findings[0].packets, 200_000);
        let report = auditor.stop();
        report
            .expect()
            .finding(
                leak("device-escape")
                    .bound("fab0")
                    .egress("eth1")
                    .packets(200_000)
                    .by(&sent),
            )
            .nothing_else();
        // It reads on after the end: what there was room for.
        let mut stream = stopped.into_inner();
        assert!(answer(&mut stream).1.contains("device-escape"));
    });
}
