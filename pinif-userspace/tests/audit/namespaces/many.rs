//! Hundreds of namespaces.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use pinif_lab::Namespace;
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::{add_pair, cells, glob, row, send};
use crate::bench::{goes_on, scenario, scrape_until};

/// 200 namespaces, and 1,000 interfaces: the loopback of each, and four pairs between every two of them.
#[test]
fn many_namespaces_and_interfaces_come_and_go() {
    const NAMESPACES: usize = 200;
    const PAIRS: usize = 4;
    /// One of so many sends something.
    const SAMPLE: usize = 20;
    scenario("6 netns-many", &[], |bench| {
        let make = |number: usize| {
            let (one, other) = (namespace(), namespace());
            for pair in 0..PAIRS {
                plug_pair(&one, &other, &format!("v{number}-{pair}"));
            }
            [one, other]
        };
        let half = NAMESPACES / 4;
        let mut all: Vec<Namespace> = (0..half).flat_map(make).collect();
        // Half of them are there before, the others come while it runs.
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("pinif.sock");
        let at = socket.to_str().expect("UTF-8");
        let mut auditor = bench.audit(&["--netns", &glob("many"), "--socket", at]);
        all.extend((half..2 * half).flat_map(make));
        assert_eq!(all.len(), NAMESPACES);
        let mut late = 0;
        while late < (1 + PAIRS) * NAMESPACES / 2 {
            late += interfaces_in(&auditor.wait_for_note("is audited from now on"));
        }
        for (number, netns) in all.iter().enumerate().step_by(SAMPLE) {
            let link = format!("v{}-0", number / 2);
            netns.set_up(&link).expect("it is there");
            all[number + 1].set_up(&link).expect("it is there");
            netns.wait_until_operational(&link).expect("it is up");
            send(bench, netns, &link, 10 + number as u64);
        }
        let audited = |number: usize| {
            scrape_until(&socket, |values| {
                let all = values.iter();
                let audited = all.filter(|(name, _)| {
                    name.starts_with("pinif_interfaces{") && name.ends_with(r#"state="audited"}"#)
                });
                audited.map(|(_, number)| *number as usize).sum::<usize>() == number
            })
        };
        let there = audited(3 + (1 + PAIRS) * NAMESPACES);
        let names: Vec<String> = all.iter().map(|netns| netns.name().to_owned()).collect();
        drop(all);
        for _ in 0..NAMESPACES {
            auditor.wait_for_note("-many is gone");
        }
        let gone = audited(3);
        goes_on(&there, &gone);
        let sent = (0..NAMESPACES)
            .step_by(SAMPLE)
            .map(|number| 10.0 + number as f64);
        let sent: f64 = sent.sum();
        for values in [there, gone] {
            let all = values.iter();
            let passed = all.filter(|(name, _)| name.starts_with("pinif_packets_total{"));
            let packets: f64 = passed.map(|(_, packets)| packets).sum();
            assert_eq!(packets, sent);
            assert!(values.len() <= 2_000, "{} series", values.len());
        }
        let report = auditor.stop();
        assert_eq!(report.ready.netns.len(), 1 + NAMESPACES / 2, "{report}");
        let ready = report.ready.interfaces.len();
        assert_eq!(ready, 3 + (1 + PAIRS) * NAMESPACES / 2, "{report}");
        for (number, name) in names.iter().enumerate().step_by(SAMPLE) {
            let expected = row(&format!("v{}-0", number / 2), 10 + number as u64);
            assert_eq!(cells(&report, name), expected, "{report}");
        }
        assert_eq!(report.summary.matrix.len(), NAMESPACES / SAMPLE, "{report}");
        assert_eq!(report.summary.uncounted.len(), 0, "{report}");
    });
}

fn namespace() -> Namespace {
    Namespace::new("many").expect("a namespace")
}

/// A veth between two namespaces, by one name in both, with both ends down.
fn plug_pair(one: &Namespace, other: &Namespace, name: &str) {
    let there = File::open(other.path()).expect("it is there");
    let far_end = LinkMessageBuilder::<LinkUnspec>::new()
        .name(name.to_owned())
        .arp(false)
        .setns_by_fd(there.as_raw_fd())
        .build();
    add_pair(one, name, 0, far_end);
}

/// How many interfaces a note names: those of a namespace that came, or one that came later.
fn interfaces_in(note: &str) -> usize {
    match note.split_once(" is audited from now on, with ") {
        Some((_, count)) => {
            let count = count.split(' ').next().and_then(|count| count.parse().ok());
            count.unwrap_or_else(|| panic!("{note}"))
        }
        None => 1,
    }
}
