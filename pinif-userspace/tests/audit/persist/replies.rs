//! Replies that are audited while no collector runs, and until one takes over that does not ask for it.

use pinif_lab::Route;

use super::place::Place;
use crate::bench::{Bench, Sender, note, scenario};

/// The hook that keeps where packets came in.
fn has_hook(place: &Place) -> bool {
    let files = place.files();
    let mut names = files.iter().filter_map(|file| file.file_name());
    names.any(|name| name.to_string_lossy().contains("pinif_heard"))
}

/// The peer asks a server that is bound to nothing.
fn asked(bench: &Bench, arguments: &str) -> Sender {
    let mut server = bench.sender(&format!("--wait-stdin udp --to 10.0.0.2:9 {arguments}"));
    server.wait_for("ready");
    let before = bench.received();
    bench
        .far_sender(&bench.chassis.peer, "udp --to 10.0.0.1:5000")
        .finish();
    bench.wait_until_received(before, 1);
    server
}

#[test]
fn replies_are_audited_as_long_as_that_is_asked_for() {
    scenario("persist replies", &[], |bench| {
        let place = Place::new();
        let route = Route::new("10.0.0.2/32".parse().expect("a prefix"), "eth1");
        let gateway = "192.0.2.2".parse().expect("an address");
        bench.card().add_route(route.via(gateway)).expect("a route");
        let first = place.audit(bench, &["--replies"]);
        let server = "--bind 0.0.0.0:5000 --count 500 --pause-after 300";
        let mut server = asked(bench, server);
        assert!(has_hook(&place), "{:?}", place.files());
        let began = first.kill();
        server.go();
        server.wait_for("paused");
        let second = place.audit(bench, &["--replies"]).since(&began);
        server.go();
        let sent = server.finish();
        assert!(has_hook(&place), "{:?}", place.files());
        second.kill();
        let third = place.audit(bench, &[]).since(&began);
        assert!(!has_hook(&place), "{:?}", place.files());
        let mut other = asked(bench, "--bind 0.0.0.0:5000 --count 100");
        other.go();
        other.finish();
        let escape = note("reply-escape").egress("eth1").packets(500);
        third
            .stop()
            .expect()
            .finding(escape.by(&sent))
            .contained_unpinned("eth1", 100)
            .nothing_else();
    });
}
