use std::{sync::Arc, time::Duration};

use pinif_ebpf::{
    key::NetNsCookie,
    sighting::FindingKey,
    subject::{KernelPacket, SubjectKey},
    verdict::Kind,
};

use super::*;
use crate::{
    findings::{
        example,
        explain::CauseKind,
        finding::{Place, Rule},
        flow::{Endpoint, Flow},
        gaps::GapKey,
        subject,
    },
    host::gaps::sockets::BypassMethod,
};

const NOON: u64 = 1_772_366_400;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOON + seconds)
}

/// What a policy with these lines in its `[[accept]]` accepts, at noon of the first of March 2026.
fn acceptance(entries: &[&str]) -> Acceptance {
    let entries = entries.iter().enumerate();
    let text: String = entries
        .map(|(number, lines)| {
            let until = if lines.contains("until") {
                ""
            } else {
                "until = 2026-03-01\n"
            };
            format!("[[accept]]\nreason = \"entry {number}\"\n{lines}\n{until}")
        })
        .collect();
    let policy = Policy::parse(&text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"));
    Acceptance::of(&policy, at(0))
}

fn program() -> Program {
    Program {
        inode: 7,
        device: 8,
        generation: 0,
        uid: 1000,
        cgroup: 0,
    }
}

fn key(subject: SubjectKey) -> Key {
    Key::Counted(FindingKey {
        netns: NetNsCookie(1),
        subject,
        ..FindingKey::default()
    })
}

fn of_program() -> Key {
    let owner = pinif_ebpf::intent::Owner {
        executable_inode: program().inode,
        executable_device: program().device,
        uid: program().uid,
        ..Default::default()
    };
    key(SubjectKey::program(&owner))
}

/// The leak of a program to 10.0.0.2 by eth1.
fn finding() -> Finding {
    let end = |address: [u8; 4]| Endpoint::new(address.into(), Some(9));
    Finding {
        flow: Some(Flow {
            protocol: 17,
            source: end([10, 0, 0, 1]),
            destination: end([10, 0, 0, 2]),
        }),
        ..example::finding(1)
    }
}

fn went(addresses: &[[u8; 4]], more: bool) -> Destinations {
    Destinations {
        more,
        addresses: addresses
            .iter()
            .map(|address| Some((*address).into()))
            .collect(),
    }
}

/// The reason for which a finding is accepted, or was.
fn judged(
    acceptance: &Acceptance,
    key: &Key,
    finding: &Finding,
    destinations: Destinations,
) -> Option<(String, bool)> {
    let is_file =
        |path: &Path, of: &Program| path == Path::new("/usr/sbin/fabd") && *of == program();
    let accepted = acceptance.judge(key, finding, is_file, || destinations)?;
    Some((accepted.reason.clone(), accepted.expired))
}

fn is_accepted(lines: &str, key: &Key, finding: &Finding, destinations: Destinations) -> bool {
    judged(&acceptance(&[lines]), key, finding, destinations).is_some()
}

#[test]
fn each_key_has_to_match_and_one_of_its_values_does() {
    let ours = |lines: &str| {
        is_accepted(
            lines,
            &of_program(),
            &finding(),
            went(&[[10, 0, 0, 2]], false),
        )
    };
    for lines in [
        "kind = \"device-escape\"",
        "kind = [\"unpinned\", \"device-escape\"]",
        "interface = \"eth?\"",
        "executable = [\"/bin/sh\", \"/usr/sbin/fabd\"]",
        "user = [0, 1000]",
        "destination = [\"fd00::/8\", \"10.0.0.0/24\"]",
        "kind = \"device-escape\"\ninterface = \"eth1\"\nexecutable = \"/usr/sbin/fabd\"\nuser = 1000\ndestination = \"10.0.0.2\"",
    ] {
        assert!(ours(lines), "{lines}");
    }
    for lines in [
        "kind = \"unpinned\"",
        "interface = \"fab*\"",
        "executable = \"/bin/sh\"",
        "user = 1001",
        "rule = \"control-plane\"",
        "destination = \"10.0.1.0/24\"",
        "kind = \"device-escape\"\nuser = 0",
    ] {
        assert!(!ours(lines), "{lines}");
    }
}

#[test]
fn a_rule_is_that_of_a_kind_which_breaks_one() {
    let place = Place {
        rule: Some(Rule {
            name: Some("control-plane".into()),
            ..Rule::default()
        }),
        ..Place::clone(&finding().place)
    };
    let of = |kind| Finding {
        kind,
        place: Arc::new(place.clone()),
        ..finding()
    };
    let lines = "rule = \"control-plane\"";
    let is = |kind| is_accepted(lines, &of_program(), &of(kind), went(&[], false));
    assert!(is(Kind::PolicyEscape) && !is(Kind::DeviceEscape));
}

#[test]
fn every_destination_has_to_be_accepted_and_known() {
    let is = |destinations| {
        let lines = "destination = [\"10.0.0.0/24\", \"192.0.2.7\"]";
        is_accepted(lines, &of_program(), &finding(), destinations)
    };
    assert!(is(went(&[], false)), "the first packet's is known");
    assert!(is(went(
        &[[10, 0, 0, 2], [192, 0, 2, 7], [10, 0, 0, 9]],
        false
    )));
    assert!(!is(went(&[[10, 0, 0, 2], [192, 0, 2, 8]], false)));
    assert!(!is(went(&[[10, 0, 0, 2]], true)), "there were more");
    let unknown = Destinations {
        more: false,
        addresses: vec![None],
    };
    assert!(!is(unknown));
    let nowhere = Finding {
        flow: None,
        ..finding()
    };
    let lines = "destination = \"0.0.0.0/0\"";
    assert!(!is_accepted(
        lines,
        &of_program(),
        &nowhere,
        went(&[], false)
    ));
}

#[test]
fn destinations_are_those_of_what_was_seen() {
    let mut samples = Samples::default();
    let seen = |destination: &str| crate::findings::samples::DestinationSample {
        protocol: "udp".to_owned(),
        destination: destination.to_owned(),
        packets: 1,
    };
    samples.destinations.samples = ["10.0.0.2:9", "[fd00::2]:9", "10.0.0.3", "fd00::3", "?"]
        .map(seen)
        .into();
    let Destinations { more, addresses } = Destinations::from(&samples);
    let text = addresses.iter().map(|it| it.map(|it| it.to_string()));
    let expected = ["10.0.0.2", "fd00::2", "10.0.0.3", "fd00::3"].map(|it| Some(it.to_owned()));
    assert_eq!(text.collect::<Vec<_>>(), [&expected[..], &[None]].concat());
    assert!(!more);
}

#[test]
fn what_no_program_sends_is_accepted_by_no_program_or_user() {
    let kernel = key(SubjectKey::kernel(KernelPacket::Icmp, [0; 2]));
    let others = key(SubjectKey::other_programs(1000));
    let is = |lines, key: &Key| is_accepted(lines, key, &finding(), went(&[], false));
    assert!(is("interface = \"eth1\"", &kernel));
    assert!(!is("user = 0", &kernel) && !is("executable = \"/usr/sbin/fabd\"", &kernel));
    // All further programs of a user are of that user, and of no program.
    assert!(is("user = 1000", &others) && !is("executable = \"/usr/sbin/fabd\"", &others));
}

/// The entry that `pinif accept` writes for a ping: it is for what nobody receives at that address, and for no program's socket there.
#[test]
fn what_no_program_receives_is_accepted_alone() {
    let receiver = |address: [u8; 4], protocol| Finding {
        subject: Some(Arc::new(subject::Subject::Receiver {
            address: Some(address.into()),
            protocol,
        })),
        ..finding()
    };
    let is = |finding: &Finding| {
        let lines =
            "kind = \"device-escape\"\nsubject = \"receiver icmp 10.0.0.1\"\ninterface = \"eth1\"";
        is_accepted(lines, &of_program(), finding, went(&[], false))
    };
    assert!(is(&receiver([10, 0, 0, 1], 1)));
    assert!(!is(&receiver([10, 0, 0, 1], 17)) && !is(&receiver([10, 0, 0, 3], 1)));
    assert!(!is(&finding()), "a program's");
}

#[test]
fn what_is_not_seen_is_accepted_too() {
    let Key::Counted(FindingKey { subject, .. }) = of_program() else {
        panic!("it is counted");
    };
    let gap = |source| {
        Key::Gap(GapKey {
            netns: NetNsCookie(1),
            interface: None,
            source,
        })
    };
    let anywhere = Finding {
        kind: Kind::Unaudited,
        place: Arc::new(Place::default()),
        flow: None,
        causes: Arc::new([crate::findings::explain::Cause::certain(CauseKind::Pktgen)]),
        ..finding()
    };
    let is = |lines, key: &Key| is_accepted(lines, key, &anywhere, went(&[], false));
    let bypass = gap(GapSource::Sockets(BypassMethod::QdiscBypass, subject));
    assert!(is(
        "kind = \"unaudited\"\nexecutable = \"/usr/sbin/fabd\"",
        &bypass
    ));
    assert!(is("kind = \"unaudited\"", &gap(GapSource::Pktgen)));
    assert!(!is(
        "executable = \"/usr/sbin/fabd\"",
        &gap(GapSource::Pktgen)
    ));
    assert!(!is("interface = \"*\"", &bypass), "it may be at any");
}

#[test]
fn the_date_ends_it_and_the_clock_may_be_set_back() {
    let mut acceptance = acceptance(&[
        "kind = \"device-escape\"\nuntil = \"2026-03-01T13:00:00Z\"",
        "kind = \"device-escape\"\ninterface = \"eth*\"\nuntil = \"2026-03-01T14:00:00Z\"",
        "kind = \"unpinned\"\nuntil = 2020-01-01",
    ]);
    let reason = |acceptance: &Acceptance| {
        judged(acceptance, &of_program(), &finding(), went(&[], false)).expect("it is or was")
    };
    let over = |acceptance: &mut Acceptance, seconds| {
        let (over, is_other) = acceptance.on_time(at(seconds));
        let over: Vec<_> = over.iter().map(|accept| accept.reason.clone()).collect();
        (over, is_other)
    };
    assert_eq!(reason(&acceptance), ("entry 0".to_owned(), false));
    assert_eq!(over(&mut acceptance, 3599), (vec![], false));
    // The third was over before.
    assert_eq!(
        over(&mut acceptance, 3600),
        (vec!["entry 0".to_owned()], true)
    );
    assert_eq!(reason(&acceptance), ("entry 1".to_owned(), false));
    assert_eq!(over(&mut acceptance, 3601), (vec![], false));
    assert_eq!(
        over(&mut acceptance, 7200),
        (vec!["entry 1".to_owned()], true)
    );
    assert_eq!(reason(&acceptance), ("entry 0".to_owned(), true), "it was");
    assert_eq!(over(&mut acceptance, 3600), (vec![], true));
    assert_eq!(reason(&acceptance), ("entry 1".to_owned(), false));
}
