//! Maps that persist keep their size.

use super::place::Place;
use crate::bench::{leak, scenario};

#[test]
fn maps_that_persist_are_as_large_as_the_first_collector_was_asked_for() {
    scenario("persist max-sockets", &[], |bench| {
        let place = Place::new();
        place.audit(bench, &["--max-sockets", "5000"]).kill();
        // A changed option does not keep the service from going on after a crash.
        let mut other = place.audit(bench, &["--max-sockets", "6000"]);
        assert_eq!(
            other.wait_for_note("what persists has room for "),
            "warning: what persists has room for 5000 sockets, and keeps it: --max-sockets 6000 is taken once `pinif detach`, or \
             `systemctl stop pinif`, has ended that"
        );
        let sent = bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10");
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        other
            .stop()
            .expect()
            .finding(escape.packets(10).by(&sent))
            .nothing_else();
        place.detached();
        place.audit(bench, &["--max-sockets", "6000"]).kill();
        place.audit(bench, &[]).kill();
        let same = place.audit(bench, &["--max-sockets", "6000"]);
        let report = same.stop();
        assert!(!report.stderr.contains("max-sockets"), "{report}");
        report.expect().nothing_else();
    });
}
