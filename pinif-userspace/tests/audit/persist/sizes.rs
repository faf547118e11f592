//! Maps that persist keep their size.

use super::ends::refused;
use super::place::Place;
use crate::bench::scenario;

#[test]
fn maps_that_persist_are_as_large_as_the_first_collector_was_asked_for() {
    scenario("persist max-sockets", &[], |bench| {
        let place = Place::new();
        place.audit(bench, &["--max-sockets", "5000"]).kill();
        let other = place
            .auditor(bench)
            .arguments(["--max-sockets", "6000"])
            .into_command();
        let message = refused(other);
        let words =
            "the auditor that persists has room for 5000 sockets, and --max-sockets asks for 6000";
        assert!(message.contains(words), "{message}");
        place.audit(bench, &[]).kill();
        let same = place.audit(bench, &["--max-sockets", "5000"]);
        same.stop().expect().nothing_else();
    });
}
