//! What distinguishes a finding in all runs and on all machines, and whether somebody is to look at it now.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, SystemTime},
};

use pinif_userspace::findings::{alert_state::AlertState, line::FindingLine};

use crate::bench::{Auditor, leak, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";

/// A moment as a line has it.
fn moment(text: &str) -> SystemTime {
    let timestamp: jiff::Timestamp = text.parse().expect("a moment");
    let microseconds = u64::try_from(timestamp.as_microsecond()).expect("it is after 1970");
    SystemTime::UNIX_EPOCH + Duration::from_micros(microseconds)
}

/// Waits until the finding has this state and so many packets.
fn wait_for(auditor: &mut Auditor<'_>, state: AlertState, packets: u64) -> FindingLine {
    auditor.wait_for_finding_that(state.name(), |finding| {
        finding.state == state && finding.packets == packets
    })
}

#[test]
fn a_finding_is_quiet_without_packets_and_open_again_with_the_next() {
    scenario("states quiet", &[], |bench| {
        let mut auditor = bench.auditor().arguments(["--quiet-after", "2s"]).start();
        let one = bench.send(&format!("{LEAK} --count 10"));
        let sent = SystemTime::now();
        let quiet = wait_for(&mut auditor, AlertState::Quiet, 10);
        let reported = SystemTime::now();
        let seen = moment(&quiet.last_seen);
        let silence = reported.duration_since(seen).expect("it was before");
        assert!(silence.as_secs() >= 2, "{silence:?}");
        // Some of them may have come after the reading that found them, but none after they were all sent.
        assert!(moment(&quiet.first_seen) <= seen.min(sent), "{quiet:?}");
        assert_eq!(quiet.first_seen, quiet.time);

        let two = bench.send(&format!("{LEAK} --count 5"));
        wait_for(&mut auditor, AlertState::Quiet, 15);
        let report = auditor.stop();
        let escape = || leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape().packets(10).by(&one))
            .finding(escape().packets(5).by(&two))
            .nothing_else();

        let lines = report.lines.iter();
        let findings: Vec<FindingLine> = lines
            .filter_map(|line| FindingLine::read(line).expect("JSON"))
            .collect();
        let mut states: Vec<_> = findings.iter().map(|finding| finding.state).collect();
        states.dedup();
        let (open, quiet) = (AlertState::Open, AlertState::Quiet);
        assert_eq!(states, [open, quiet, open, quiet]);
        let revisions: Vec<_> = findings.iter().map(|finding| finding.revision).collect();
        assert!(
            revisions.windows(2).all(|pair| pair[0] < pair[1]),
            "{revisions:?}"
        );
        let seen: Vec<_> = findings.iter().map(|finding| &finding.last_seen).collect();
        assert!(seen.is_sorted(), "{seen:?}");
        let ids: Vec<_> = findings.iter().map(|finding| &finding.uid).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    });
}

/// A file of one line.
fn line_of(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim_end().to_owned())
}

#[test]
fn the_next_run_has_another_name_and_gives_the_finding_the_same() {
    scenario("states identity", &[], |bench| {
        let labels = ["--label", "chassis=A", "--label", "slot=3"];
        let run = || {
            let mut auditor = bench.auditor().arguments(labels).start();
            let ready = auditor.ready();
            let sender = bench.send(&format!("{LEAK} --count 3"));
            let finding = auditor.wait_for_finding("device-escape");
            let escape = leak("device-escape").bound("fab0").egress("eth1");
            let report = auditor.stop();
            let expected = report.expect();
            expected
                .finding(escape.packets(3).by(&sender))
                .nothing_else();
            (ready, finding)
        };
        let ((one, first), (other, second)) = (run(), run());
        assert_ne!(one.run, other.run);
        let labels = [("chassis", "A"), ("slot", "3")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(one.labels, BTreeMap::from(labels));
        assert_eq!(one.boot, line_of("/proc/sys/kernel/random/boot_id"));
        assert_eq!(
            one.host,
            line_of("/etc/machine-id").filter(|id| id.len() == 32)
        );
        assert_eq!((&one.boot, &one.host), (&other.boot, &other.host));
        let boot = one.boot.expect("Linux has one");
        assert_eq!(first.uid, Some(format!("{boot}/{}", first.id)));
        assert_eq!((&first.id, &first.uid), (&second.id, &second.uid));
        assert!(first.revision < second.revision, "{first:?} {second:?}");
    });
}
