use pinif_ebpf::{
    intent::{NO_USER, Owner},
    key::SocketCookie,
    packet::Packet,
    sample::{MOST, Sample},
    sighting::Count,
    subject::SubjectKey,
};

use super::*;

mod properties;

const CARD: Address = Address::v4([10, 0, 0, 1]);
const SERVER: Address = Address::v4([10, 9, 0, 9]);

/// A finding, as the kernel has it.
#[derive(Clone, Copy, Debug)]
struct Known(FindingKey, FindingState);

impl Known {
    /// Of a program's sockets, from the card's port 4000 to the server's 7000 or back.
    fn of(kind: Kind, severity: Severity, subject: SubjectKey, time: u64) -> Self {
        let key = FindingKey {
            netns: NetNsCookie(1),
            egress: IfIndex(3),
            kind: kind as u8,
            severity: severity as u8,
            subject,
            ..FindingKey::default()
        };
        let mut state = FindingState {
            count: Count {
                packets: 5,
                bytes: 300,
            },
            ..FindingState::default()
        };
        let arrived = kind.row().direction == Direction::Ingress;
        let first = &mut state.sighting;
        first.time = time;
        first.protocol = protocol::TCP;
        let (card, server) = ((CARD, 4000), (SERVER, 7000));
        let (from, to) = if arrived {
            (server, card)
        } else {
            (card, server)
        };
        (first.source, first.source_port) = from;
        (first.destination, first.destination_port) = to;
        Self(key, state).to(&[to])
    }

    fn sockets(mut self, sockets: &[u64], more: bool) -> Self {
        let samples = &mut self.1.samples;
        for (place, &socket) in samples.lists[Of::Socket as usize].iter_mut().zip(sockets) {
            place.key = Sample::of_socket(SocketCookie(socket));
        }
        samples.more[Of::Socket as usize] = u32::from(more);
        self
    }

    /// To these, by the first packet's protocol.
    fn to(mut self, ends: &[(Address, u16)]) -> Self {
        let protocol = self.1.sighting.protocol;
        let list = &mut self.1.samples.lists[Of::Destination as usize];
        *list = [Sample::default(); MOST];
        for (place, &(destination, destination_port)) in list.iter_mut().zip(ends) {
            let packet = Packet {
                destination,
                destination_port,
                protocol,
                ..Packet::default()
            };
            place.key = Sample::of_destination(&packet, destination.words());
        }
        self
    }

    fn packets(mut self, packets: u64) -> Self {
        self.1.count.packets = packets;
        self
    }
}

fn program(number: u64) -> SubjectKey {
    SubjectKey::program(&Owner {
        executable_inode: number,
        ..Owner::default()
    })
}

fn kernel(what: KernelPacket) -> SubjectKey {
    SubjectKey::kernel(what, CARD.words())
}

fn receiver(protocol: u8) -> SubjectKey {
    SubjectKey::receiver(CARD.words(), protocol)
}

/// Which of some findings are named in which.
fn named(all: &[Known]) -> Vec<Option<usize>> {
    let evidence: Vec<_> = all
        .iter()
        .map(|Known(key, state)| Evidence::of(key, state).expect("it may be"))
        .collect();
    wholes(&evidence)
}

fn left(severity: Severity, time: u64) -> Known {
    Known::of(Kind::AddressEscape, severity, program(1), time).sockets(&[1], false)
}

fn arrived(severity: Severity, time: u64) -> Known {
    Known::of(Kind::IngressEscape, severity, program(1), time).sockets(&[1], false)
}

#[test]
fn what_answers_a_connection_that_leaks_is_named_in_it() {
    use Severity::{Leak, Risk};
    let answered = [left(Leak, 1), arrived(Leak, 2)];
    assert_eq!(named(&answered), [None, Some(0)]);
    let asked = [left(Leak, 2), arrived(Leak, 1)];
    assert_eq!(named(&asked), [Some(1), None], "what came first began it");
    let graver = [left(Risk, 1), arrived(Leak, 2)];
    assert_eq!(
        named(&graver),
        [Some(1), None],
        "the gravest is the finding"
    );
}

/// The request is what is wrong: its answer follows the routes.
#[test]
fn an_answer_by_another_interface_is_named_in_what_asked_for_it() {
    let asked = arrived(Severity::Leak, 1);
    let answer = |by: u32| {
        let mut answer = Known::of(Kind::ReplyEscape, Severity::Leak, program(1), 2);
        answer.0.egress = IfIndex(4);
        answer.1.sighting.arrived = IfIndex(by);
        answer.sockets(&[1], false)
    };
    assert_eq!(named(&[asked, answer(3)]), [None, Some(0)]);
    assert_eq!(named(&[asked, answer(5)]), [None, None], "asked elsewhere");
    assert!(may_be_related(&answer(3).0, &asked.0));
    let home = |known: &Known| Evidence::of(&known.0, &known.1).and_then(|one| one.home());
    assert_eq!(home(&asked), home(&answer(3)));
}

#[test]
fn what_comes_for_another_socket_is_another_finding() {
    let first = left(Severity::Leak, 1);
    let other = arrived(Severity::Leak, 2);
    for second in [
        other.sockets(&[1, 2], false),
        other.sockets(&[2], false),
        other.sockets(&[1], true),
        Known(
            FindingKey {
                egress: IfIndex(4),
                ..other.0
            },
            other.1,
        ),
        Known(
            FindingKey {
                subject: program(2),
                ..other.0
            },
            other.1,
        ),
    ] {
        assert_eq!(named(&[first, second]), [None, None], "{second:?}");
    }
    let many: Vec<u64> = (1..=16).collect();
    let first = first.sockets(&many, true);
    let later: Vec<u64> = (2..=17).collect();
    assert_eq!(
        named(&[first, other.sockets(&later, true)]),
        [None, Some(0)]
    );
    let others: Vec<u64> = (9..=24).collect();
    assert_eq!(named(&[first, other.sockets(&others, true)]), [None, None]);
}

#[test]
fn what_the_kernel_sends_for_a_connection_is_named_in_it() {
    let first = left(Severity::Leak, 1);
    let reset = Known::of(
        Kind::AddressEscape,
        Severity::Leak,
        kernel(KernelPacket::TcpReset),
        3,
    );
    let last = Known::of(
        Kind::IngressEscape,
        Severity::Risk,
        receiver(protocol::TCP),
        2,
    );
    assert_eq!(named(&[first, reset, last]), [None, Some(0), Some(0)]);
    let mut nobody_listened = reset;
    nobody_listened.1.sighting.time = 0;
    assert_eq!(named(&[nobody_listened, first]), [Some(1), None]);
    let graver = left(Severity::Risk, 1);
    assert_eq!(named(&[nobody_listened, graver]), [None, None]);
    let elsewhere = reset.to(&[(SERVER, 7000), (SERVER, 7001)]);
    let scan = last.to(&[(CARD, 4000), (CARD, 22)]);
    assert_eq!(named(&[first, elsewhere]), [None, None]);
    assert_eq!(named(&[first, scan]), [None, None]);
}

#[test]
fn what_icmp_says_of_a_connection_is_named_in_it() {
    let first = left(Severity::Leak, 1);
    let error = |packets| {
        let mut error = Known::of(
            Kind::IngressEscape,
            Severity::Leak,
            receiver(protocol::ICMP),
            2,
        );
        let seen = &mut error.1.sighting;
        (seen.protocol, seen.source_port, seen.destination_port) = (protocol::ICMP, 0, 0);
        error.packets(packets)
    };
    assert_eq!(named(&[first, error(5)]), [None, Some(0)]);
    assert_eq!(
        named(&[first, error(6)]),
        [None, None],
        "more than were sent"
    );
    let mut of_another = error(5);
    of_another.1.sighting.source = CARD;
    assert_eq!(named(&[first, of_another]), [None, None]);
}

/// A neighbour that is asked for answers before the first packet leaves, which is the fault.
#[test]
fn a_neighbour_that_was_asked_for_is_named_in_what_was_sent_to_it() {
    let first = left(Severity::Leak, 2);
    let answer = |of, identifier| {
        let mut answer = Known::of(Kind::IngressEscape, Severity::Leak, receiver(of), 1);
        let seen = &mut answer.1.sighting;
        (seen.protocol, seen.source_port, seen.destination_port) = (of, identifier, 0);
        answer.packets(1)
    };
    assert_eq!(
        named(&[answer(protocol::ICMPV6, 0), first]),
        [Some(1), None]
    );
    let echo = answer(protocol::ICMPV6, 77);
    assert_eq!(
        named(&[echo, first]),
        [None, None],
        "it was asked for by nobody here"
    );
    assert_eq!(named(&[answer(protocol::ICMP, 0), first]), [None, None]);
}

/// What is left of a connection in TIME_WAIT is of nobody, and has its cookie.
#[test]
fn what_is_left_of_a_connection_is_named_in_its_finding() {
    let nobody = SubjectKey::program(&Owner {
        uid: NO_USER,
        ..Owner::default()
    });
    let first = left(Severity::Leak, 1).sockets(&[1, 2], false);
    let last = |kind, time| Known::of(kind, Severity::Leak, nobody, time).sockets(&[1], false);
    let (acknowledged, answered) = (last(Kind::PolicyEscape, 4), last(Kind::IngressEscape, 3));
    assert_eq!(
        named(&[first, acknowledged, answered]),
        [None, Some(0), Some(0)]
    );
    let earlier = last(Kind::PolicyEscape, 0);
    assert_eq!(named(&[earlier, first]), [Some(1), None]);
    let anothers = acknowledged.sockets(&[3], false);
    assert_eq!(named(&[first, anothers]), [None, None]);
}

/// Which of the two is the finding is decided by how grave they are.
#[test]
fn what_the_kernel_answers_is_one_finding_with_the_answer() {
    let asked = Known::of(
        Kind::IngressEscape,
        Severity::Risk,
        receiver(protocol::UDP),
        1,
    );
    let answer = Known::of(
        Kind::AddressEscape,
        Severity::Leak,
        kernel(KernelPacket::Icmp),
        2,
    );
    assert_eq!(named(&[asked, answer]), [Some(1), None]);
    let more = answer.packets(6);
    assert_eq!(named(&[asked, more]), [None, None], "not all are answers");
    let mut other = answer;
    other.1.sighting.destination = CARD;
    assert_eq!(named(&[asked, other]), [None, None], "another asked");
}

#[test]
fn programs_that_send_from_one_address_are_not_compared() {
    let of = |number| Known::of(Kind::DeviceEscape, Severity::Leak, program(number), number);
    assert!(!may_be_related(&of(1).0, &of(2).0));
    assert!(may_be_related(
        &left(Severity::Leak, 1).0,
        &arrived(Severity::Leak, 2).0
    ));
}

#[test]
fn nothing_that_was_dropped_or_copied_is_compared() {
    let Known(key, state) = left(Severity::Leak, 1);
    let is_compared = |key: FindingKey| Evidence::of(&key, &state).is_some();
    assert!(is_compared(key));
    assert!(!is_compared(FindingKey { dropped: 1, ..key }));
    let kind = Kind::CopyEscape as u8;
    assert!(!is_compared(FindingKey { kind, ..key }));
    let subject = SubjectKey::OTHERS;
    assert!(!is_compared(FindingKey { subject, ..key }));
}
