use pinif_ebpf::sighting::{FindingKey, FindingState};

use super::*;
use crate::kernel::persist::InterfaceNames;

const CARD: NetNsCookie = NetNsCookie(1);
const OTHER: NetNsCookie = NetNsCookie(2);
const ETH1: IfIndex = IfIndex(2);
const ETH2: IfIndex = IfIndex(3);
const ETH3: IfIndex = IfIndex(4);
const MINUTE: Duration = Duration::from_secs(60);

/// What is to be done, short enough to compare.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Gone(IfIndex),
    Archived(NetNsCookie),
    ReadFindings,
    Notice(Notice),
}

fn done(outputs: Vec<Output>) -> Vec<Done> {
    let done = |output| match output {
        Output::Gone(netns, index) => {
            assert_eq!(netns, CARD);
            Done::Gone(index)
        }
        Output::Archived(archived) => Done::Archived(archived.key.netns),
        Output::ReadFindings => Done::ReadFindings,
        Output::Event(Event::Notice(notice)) => Done::Notice(notice.as_ref().clone()),
        Output::Event(other) => panic!("{other:?}"),
    };
    outputs.into_iter().map(done).collect()
}

fn archived(netns: NetNsCookie) -> ArchivedFinding {
    ArchivedFinding {
        key: FindingKey {
            netns,
            ..FindingKey::default()
        },
        value: FindingState::default(),
        predecessors: 0,
        names: InterfaceNames::default(),
    }
}

/// A previous instance of a minute ago, that audited `card`, and counted something for `counted`.
fn previous(counted: &[IfIndex]) -> (Takeover, Instant) {
    let now = Instant::now() + 2 * MINUTE;
    let previous = Previous {
        age: MINUTE,
        namespaces: BTreeSet::from([CARD]),
        counted: counted.iter().map(|index| (CARD, *index)).collect(),
        findings: 3,
        archived: vec![archived(CARD), archived(OTHER)],
    };
    (Takeover::new(Some(previous), now), now)
}

fn namespace(present: &[IfIndex], known: &[IfIndex], adopted: &[IfIndex]) -> Input {
    Input::Namespace {
        netns: CARD,
        present: present.iter().copied().collect(),
        known: known.to_vec(),
        adopted: adopted.iter().copied().collect(),
    }
}

fn attached(interfaces: &[(IfIndex, &str)]) -> Input {
    let interfaces = interfaces.iter();
    Input::Attached {
        netns: CARD,
        interfaces: interfaces
            .map(|(index, name)| (*index, (*name).to_owned()))
            .collect(),
    }
}

#[test]
fn a_first_instance_takes_nothing_over() {
    let now = Instant::now();
    let mut first = Takeover::new(None, now);
    assert_eq!(first.began(now), now);
    assert!(!first.awaits(CARD));
    assert_eq!(done(first.on(namespace(&[ETH1], &[], &[]), now)), []);
    assert_eq!(done(first.on(attached(&[(ETH1, "eth1")]), now)), []);
    assert_eq!(done(first.on(Input::Ready, now)), []);
}

#[test]
fn an_interface_is_the_same_where_the_program_still_is_or_nothing_was_counted() {
    let (mut takeover, now) = previous(&[ETH1, ETH2]);
    let present = [ETH1, ETH2, ETH3];
    // ETH2 was counted for and has no program: another interface has its index.
    let outputs = takeover.on(namespace(&present, &present, &[ETH1]), now);
    assert_eq!(done(outputs), [Done::Gone(ETH2), Done::Archived(CARD)]);
}

#[test]
fn an_interface_that_is_not_there_any_more_is_gone() {
    let (mut takeover, now) = previous(&[]);
    let outputs = takeover.on(namespace(&[ETH1], &[ETH1, ETH3], &[ETH1]), now);
    assert_eq!(done(outputs), [Done::Gone(ETH3), Done::Archived(CARD)]);
}

#[test]
fn interfaces_that_came_between_two_instances_are_reported_once_they_are_audited() {
    let (mut takeover, now) = previous(&[]);
    takeover.on(namespace(&[ETH1, ETH2, ETH3], &[ETH1], &[ETH1]), now);
    let audited = [(ETH1, "eth1"), (ETH3, "eth3")];
    let names = vec!["eth3".to_owned()];
    assert_eq!(
        done(takeover.on(attached(&audited), now)),
        [Done::Notice(Notice::InterfacesCameLate { names })]
    );
    assert_eq!(done(takeover.on(attached(&audited), now)), []);
}

#[test]
fn a_namespace_is_recognized_once() {
    let (mut takeover, now) = previous(&[ETH1]);
    assert!(takeover.awaits(CARD) && !takeover.awaits(OTHER));
    // It could not be attached to, and comes again.
    takeover.on(namespace(&[ETH1], &[ETH1], &[]), now);
    assert!(!takeover.awaits(CARD));
    assert_eq!(done(takeover.on(namespace(&[ETH1], &[ETH1], &[]), now)), []);
    assert_eq!(done(takeover.on(attached(&[(ETH1, "eth1")]), now)), []);
}

#[test]
fn all_that_was_found_is_reported_at_last_also_of_namespaces_that_are_gone() {
    let (mut takeover, now) = previous(&[]);
    assert_eq!(takeover.began(now), now - MINUTE);
    let took_over = Notice::TookOver {
        age: MINUTE + Duration::from_secs(1),
        findings: 5,
    };
    let outputs = takeover.on(Input::Ready, now + Duration::from_secs(1));
    assert_eq!(
        done(outputs),
        [
            Done::Archived(CARD),
            Done::Archived(OTHER),
            Done::ReadFindings,
            Done::Notice(took_over)
        ]
    );
    assert!(!takeover.awaits(CARD));
}
