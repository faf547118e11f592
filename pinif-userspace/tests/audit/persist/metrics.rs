//! The counters that are read of an auditor go on over its collectors, whatever build they are of.

use std::path::Path;

use super::{place::Place, upgrade::Build};
use crate::bench::{goes_on, leak, scenario, scrape_until};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";

#[test]
fn counters_go_on_over_a_restart_and_another_build() {
    scenario("persist metrics", &[], |bench| {
        let place = Place::new();
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("pinif.sock");
        let setup = || {
            let setup = place.auditor(bench);
            setup.arguments([Path::new("--socket"), &socket])
        };
        let card = bench.card().name();
        let left =
            format!(r#"pinif_packets_total{{netns="{card}",zone="",verdict="device-escape"}}"#);
        let scraped =
            |packets: f64| scrape_until(&socket, |values| values.get(&left) == Some(&packets));
        let build = Build::of_other_programs();

        let auditor = setup().start();
        let one = bench.send(&format!("{LEAK} --count 7"));
        let first = scraped(7.0);
        let began = auditor.kill();
        // Nobody looks, and all is counted.
        let two = bench.send(&format!("{LEAK} --count 5"));
        let auditor = setup().start();
        let second = scraped(12.0);
        auditor.kill();
        let other = setup().changed(|command| build.runs(command));
        let auditor = other.start();
        let three = bench.send(&format!("{LEAK} --count 3"));
        let third = scraped(15.0);

        goes_on(&first, &second);
        goes_on(&second, &third);
        let opened = r#"pinif_findings_opened_total{kind="device-escape",severity="leak",rule=""}"#;
        for values in [&second, &third] {
            assert_eq!(values[opened], 1.0, "it is the same finding");
        }
        let report = auditor.since(&began).stop();
        let finding = || leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(finding().packets(7).by(&one))
            .finding(finding().packets(5).by(&two))
            .finding(finding().packets(3).by(&three))
            .nothing_else();
    });
}
