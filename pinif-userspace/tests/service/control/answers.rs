//! What a running auditor answers: exact counts, while they grow.

use pinif_lab::FALLBACK_TUNNELS;
use pinif_userspace::control::FindingsFilter;
use serde_json::json;

use super::asked::{LEAK, Place};
use crate::bench::{CONTROL_PLANE, leak, risk, scenario};

#[test]
fn findings_have_the_counts_of_now_and_the_matrix_has_their_cells() {
    scenario("control findings", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        let sent = bench.send(&format!("{LEAK} --count 1000"));
        let unpinned = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 7");
        let leaks = auditor.wait_for_finding("device-escape");
        let risks = auditor.wait_for_finding("address-escape");

        let page = place.ask(async |client| client.findings(&FindingsFilter::default()).await);
        let counts: Vec<_> = page
            .findings
            .iter()
            .map(|finding| {
                (
                    &*finding.id,
                    finding.packets,
                    finding.samples.destinations.count,
                )
            })
            .collect();
        assert_eq!(page.total, 2);
        assert_eq!(page.next, None);
        assert_eq!(
            counts,
            [(&*leaks.id, 1000, 1), (&*risks.id, 7, 1)],
            "in the order of their first packets"
        );

        let (status, matrix) =
            place.ask(async |client| Ok((client.status().await?, client.matrix().await?)));
        assert_eq!(status.seq, matrix.seq, "the same state");
        let found: Vec<_> = status
            .findings
            .iter()
            .map(|count| (count.kind.name(), count.severity.name(), count.number))
            .collect();
        assert_eq!(
            found,
            [("device-escape", "leak", 1), ("address-escape", "risk", 1)]
        );
        let worst: Vec<_> = status
            .worst
            .iter()
            .map(|worst| (&*worst.id, worst.packets))
            .collect();
        assert_eq!(worst, [(&*leaks.id, 1000), (&*risks.id, 7)]);
        assert!(status.incomplete.is_empty() && status.uncounted.is_empty());
        let mut names: Vec<_> = status
            .interfaces
            .iter()
            .map(|interface| &*interface.name)
            .collect();
        names.sort_unstable();
        names.retain(|name| !FALLBACK_TUNNELS.contains(name));
        assert_eq!(names, ["eth1", "fab0", "lo"]);
        let cells: Vec<_> = matrix
            .matrix
            .iter()
            .filter_map(|graded| {
                let severity = graded.severity?;
                Some((
                    severity.name(),
                    graded.cell.verdict.name(),
                    graded.cell.packets,
                ))
            })
            .collect();
        assert_eq!(
            cells,
            [
                ("risk", "address-escape", 7),
                ("leak", "device-escape", 1000)
            ]
        );
        assert_eq!(matrix.totals, status.totals);

        auditor
            .stop()
            .expect()
            .finding(
                leak("device-escape")
                    .bound("fab0")
                    .egress("eth1")
                    .packets(1000)
                    .by(&sent),
            )
            .finding(
                risk("address-escape")
                    .egress("eth1")
                    .packets(7)
                    .by(&unpinned),
            )
            .nothing_else();
    });
}

#[test]
fn a_filter_takes_what_it_names_and_pages_follow_each_other() {
    scenario("control filters", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        bench.send(&format!("{LEAK} --count 3"));
        let sender = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 2");
        let leaks = auditor.wait_for_finding("device-escape");
        let risks = auditor.wait_for_finding("address-escape");
        let netns = bench.card().name().to_owned();
        let ids = |target: &str| {
            let (status, page) = place.get(target);
            assert_eq!(status, 200, "{page}");
            let findings = page["findings"].as_array().expect("a list").iter();
            findings
                .map(|finding| finding["id"].as_str().expect("a text").to_owned())
                .collect::<Vec<_>>()
        };
        let all = [leaks.id.clone(), risks.id.clone()];
        for (query, expected) in [
            ("", &all[..]),
            ("?severity=leak,risk", &all),
            ("?severity=risk", &all[1..]),
            ("?kind=device-escape", &all[..1]),
            ("?kind=unpinned", &[]),
            ("?state=open", &all),
            ("?state=quiet", &[]),
            ("?since=1h", &all),
            ("?since=2100-01-01T00:00:00Z", &[]),
            (&format!("?netns={netns}"), &all),
            ("?netns=another", &[]),
            (&format!("?process={}", sender.pid), &all[1..]),
            ("?process=pinif-*", &all),
            ("?process=pinif", &[]),
            ("?limit=1", &all[..1]),
            ("?limit=1&from=1", &all[1..]),
        ] {
            assert_eq!(ids(&format!("/v1/findings{query}")), expected, "{query}");
        }
        let (_, first) = place.get("/v1/findings?limit=1");
        assert_eq!((&first["total"], &first["next"]), (&json!(2), &json!(1)));
        let (status, one) = place.get(&format!("/v1/findings/{}", risks.id));
        assert_eq!((status, &one["packets"]), (200, &json!(2)));
        auditor.stop();
    });
}

#[test]
fn the_policy_in_force_is_said_and_what_is_wrong_with_a_newer_one() {
    scenario("control policy", &[], |bench| {
        let place = Place::new();
        let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
        std::fs::write(file.path(), CONTROL_PLANE).expect("it is written");
        let path = file.path().to_str().expect("a path");
        let mut auditor = place.audit(bench, &["--policy", path]);
        let (status, policy) = place.get("/v1/policy");
        assert_eq!(status, 200, "{policy}");
        assert_eq!(policy["path"], json!(path));
        assert_eq!(policy["failure"], json!(null));
        assert_eq!(policy["rules"][0]["name"], json!("control-plane"));
        let sum = std::process::Command::new("sha256sum")
            .arg(path)
            .output()
            .expect("it runs");
        let sum = String::from_utf8_lossy(&sum.stdout).into_owned();
        assert_eq!(policy["digest"].as_str(), sum.split(' ').next());

        std::fs::write(file.path(), "[[rule]]\nname = 7\n").expect("it is written");
        auditor.wait_for_note("the changed policy is wrong");
        let status = place.ask(async |client| {
            // The state of a second ago may be given, and no older one.
            loop {
                let status = client.status().await?;
                if !status.incomplete.is_empty() {
                    return Ok(status);
                }
            }
        });
        assert_eq!(json!(status.incomplete), json!(["reload-failed"]));
        let failure = status.policy.source.failure.expect("it failed");
        assert!(failure[0].contains("`name`"), "{failure:?}");
        assert_eq!((status.policy.zones, status.policy.rules), (2, 1));
        auditor.stop();
    });
}
