//! What pinif and its programs log, if they are asked to.

use crate::bench::{leak, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10";

#[test]
fn the_programs_log_every_verdict_if_they_are_asked() {
    scenario("service log-debug", &[], |bench| {
        let mut auditor = bench.audit(&["--log-level", "debug"]);
        let sent = bench.send(LEAK);
        let index = |link| bench.card().index(link).expect("it is there").0;
        let verdict = format!(
            "cookie {}, bound to {}, left by {}",
            sent.cookie,
            index("fab0"),
            index("eth1")
        );
        for _ in 0..10 {
            let line = auditor.wait_for_note(&verdict);
            assert!(line.starts_with("DEBUG pinif"), "{line}");
        }
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        auditor
            .stop()
            .expect()
            .finding(escape.packets(10).by(&sent))
            .nothing_else();
    });
}

#[test]
fn nothing_is_logged_unless_asked() {
    scenario("service log-off", &[], |bench| {
        for arguments in [&[][..], &["--log-level", "info"]] {
            let auditor = bench.audit(arguments);
            let sent = bench.send(LEAK);
            let report = auditor.stop();
            assert_eq!(report.stderr, "");
            let escape = leak("device-escape").bound("fab0").egress("eth1");
            report
                .expect()
                .finding(escape.packets(10).by(&sent))
                .nothing_else();
        }
    });
}
