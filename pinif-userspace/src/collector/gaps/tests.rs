//! The gaps as time passes, without a kernel.

use std::iter;

use pinif_ebpf::{bypass::AF_PACKET, intent::Name, key::SocketCookie};

use super::*;
use crate::host::gaps::xdp;

const CARD: NetNsCookie = NetNsCookie(7);
const ETH1: IfIndex = IfIndex(3);
const LO: IfIndex = IfIndex(1);
const ALL: Look = Look {
    all: true,
    settles: true,
};

fn audited() -> Audited {
    Audited::from([(CARD, BTreeSet::from([ETH1]))])
}

/// A packet socket of a program.
fn socket(inode: u64) -> Bypass {
    Bypass {
        owner: Owner {
            pid: 42,
            comm: Name::of(b"tcpreplay"),
            uid: 1000,
            executable_inode: 5,
            ..Owner::default()
        },
        netns: CARD,
        inode,
        family: AF_PACKET,
        ..Bypass::default()
    }
}

fn bound_to(interface: Option<IfIndex>) -> State {
    State {
        bypasses: true,
        interface,
        cookie: SocketCookie(9),
    }
}

fn listed(socket: Bypass, state: Result<Option<State>, String>) -> Listed {
    Listed { socket, state }
}

fn looked(look: Look, sockets: Vec<Listed>) -> Input {
    Input::Looked(Looked {
        look,
        audited: audited(),
        bypassing: Vec::new(),
        sockets: Ok(sockets),
        detected: Vec::new(),
    })
}

fn detected(found: Vec<Result<Detected, Unknown>>) -> Input {
    Input::Looked(Looked {
        look: ALL,
        audited: audited(),
        bypassing: Vec::new(),
        sockets: Ok(Vec::new()),
        detected: iter::repeat(CARD).zip(found).collect(),
    })
}

/// What makes each gap that is to be reported, at which interface, and whether it has grown.
fn reported(outputs: Vec<Output>) -> Vec<(Option<IfIndex>, GapSource, bool)> {
    let reported = |output| match output {
        Output::Gap { gap, has_grown, .. } => (gap.key.interface, gap.key.source, has_grown),
        other => panic!("{other:?}"),
    };
    outputs.into_iter().map(reported).collect()
}

fn of_program() -> GapSource {
    GapSource::Sockets(
        BypassMethod::QdiscBypass,
        SubjectKey::program(&socket(0).owner),
    )
}

#[test]
fn all_is_looked_for_now_and_then() {
    let began = Instant::now();
    let mut gaps = Gaps::new(began);
    let all = |settles| vec![Output::Look(Look { all: true, settles })];
    assert_eq!(gaps.on(Input::Now(Look::LAST), began), all(true));
    assert_eq!(gaps.due(), began + ASLEEP);
    let before = |at: Instant| at - Duration::from_nanos(1);
    assert_eq!(gaps.on(Input::Awake, before(began + AWAKE)), []);
    assert_eq!(gaps.on(Input::Awake, began + AWAKE), all(false));
    let checked = began + AWAKE;
    assert_eq!(gaps.due(), checked + ASLEEP);
    assert_eq!(gaps.on(Input::Due, before(checked + ASLEEP)), []);
    assert_eq!(gaps.on(Input::Due, checked + ASLEEP), all(false));
    // Of namespaces that come one after another, together.
    let came = checked + ASLEEP;
    assert_eq!(gaps.on(Input::Namespace, came), []);
    assert_eq!(gaps.on(Input::Namespace, came + SOON), []);
    assert_eq!(gaps.due(), came + LATER);
    assert_eq!(gaps.on(Input::Due, came + LATER), all(false));
    assert_eq!(gaps.due(), came + LATER + ASLEEP);
}

#[test]
fn a_socket_is_looked_at_soon_after_the_hook_saw_it() {
    let began = Instant::now();
    let mut gaps = Gaps::new(began);
    assert_eq!(gaps.on(Input::Bypassing(Vec::new()), began), []);
    assert_eq!(gaps.due(), began + ASLEEP);
    gaps.on(Input::Bypassing(vec![socket(1)]), began);
    gaps.on(Input::Bypassing(vec![socket(2)]), began + SOON / 2);
    assert_eq!(gaps.due(), began + SOON);
    let look = Look {
        all: false,
        settles: false,
    };
    let now = began + SOON;
    assert_eq!(gaps.on(Input::Due, now), [Output::Look(look)]);
    let states = [1, 2].map(|inode| listed(socket(inode), Ok(Some(bound_to(Some(ETH1))))));
    let outputs = gaps.on(looked(look, states.to_vec()), now);
    let expected = [
        (Some(ETH1), of_program(), true),
        (Some(ETH1), of_program(), false),
    ];
    assert_eq!(reported(outputs), expected, "both have one cookie here");
    assert_eq!(gaps.due(), began + ASLEEP);
}

#[test]
fn a_socket_that_is_bound_to_nothing_is_looked_at_once_more() {
    let began = Instant::now();
    let mut gaps = Gaps::new(began);
    gaps.on(Input::Bypassing(vec![socket(1)]), began);
    let unbound = || vec![listed(socket(1), Ok(Some(bound_to(None))))];
    let first = Look {
        all: false,
        settles: false,
    };
    let now = began + SOON;
    assert_eq!(gaps.on(Input::Due, now), [Output::Look(first)]);
    assert_eq!(gaps.on(looked(first, unbound()), now), []);
    assert_eq!(gaps.due(), now + LATER);
    let second = Look {
        settles: true,
        ..first
    };
    let now = now + LATER;
    assert_eq!(gaps.on(Input::Due, now), [Output::Look(second)]);
    let outputs = gaps.on(looked(second, unbound()), now);
    assert_eq!(reported(outputs), [(None, of_program(), true)]);
    assert_eq!(gaps.due(), began + ASLEEP);
}

#[test]
fn a_socket_that_is_gone_or_must_not_be_asked_is_known_by_the_hook() {
    let began = Instant::now();
    let refused = || Err("Operation not permitted".to_owned());
    let at_eth1 = |inode| Bypass {
        interface: ETH1,
        ..socket(inode)
    };
    for sockets in [Vec::new(), vec![listed(at_eth1(1), refused())]] {
        let mut gaps = Gaps::new(began);
        gaps.on(Input::Bypassing(vec![at_eth1(1)]), began);
        let outputs = gaps.on(looked(ALL, sockets), began);
        assert_eq!(reported(outputs), [(Some(ETH1), of_program(), true)]);
    }
    // Without the hook, it is unknown whether it bypasses.
    let mut gaps = Gaps::new(began);
    let outputs = gaps.on(looked(ALL, vec![listed(at_eth1(1), refused())]), began);
    let [Output::Gap { gap, .. }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    // Where the list does not know the process, the hook does.
    let unlisted = Bypass {
        owner: Owner::default(),
        ..at_eth1(1)
    };
    let mut gaps_of_unlisted = Gaps::new(began);
    gaps_of_unlisted.on(Input::Bypassing(vec![at_eth1(1)]), began);
    let looked_at = looked(ALL, vec![listed(unlisted, refused())]);
    let outputs_of_unlisted = gaps_of_unlisted.on(looked_at, began);
    assert_eq!(
        reported(outputs_of_unlisted),
        [(Some(ETH1), of_program(), true)]
    );
    let unknown = CauseKind::NotLookedFor {
        what: Detector::Sockets,
        error: "packet sockets of tcpreplay (pid 42) cannot be asked: Operation not permitted"
            .to_owned(),
    };
    assert_eq!(gap.cause, unknown);
    assert_eq!(gap.key.source, GapSource::Unknown(Detector::Sockets));
}

#[test]
fn what_would_not_be_audited_is_no_gap() {
    let began = Instant::now();
    let mut gaps = Gaps::new(began);
    let elsewhere = Bypass {
        netns: NetNsCookie(8),
        ..socket(1)
    };
    let idle = Bypass {
        family: AF_XDP,
        ..socket(4)
    };
    let harmless = State {
        bypasses: false,
        ..bound_to(Some(ETH1))
    };
    let sockets = vec![
        listed(elsewhere, Ok(Some(bound_to(None)))),
        listed(socket(2), Ok(Some(bound_to(Some(LO))))),
        listed(socket(3), Ok(Some(harmless))),
        listed(idle, Ok(Some(bound_to(None)))),
        listed(socket(5), Ok(None)),
    ];
    assert_eq!(gaps.on(looked(ALL, sockets), began), []);
    assert_eq!(gaps.on(detected(vec![Ok(Detected::Pktgen(LO))]), began), []);
}

#[test]
fn what_could_not_be_looked_for_is_a_gap() {
    let began = Instant::now();
    let mut gaps = Gaps::new(began);
    let unknown = Unknown {
        what: Detector::Ahead,
        error: "Operation not permitted".to_owned(),
    };
    let found = vec![Err(unknown), Ok(Detected::Netconsole(ETH1))];
    let expected = [
        (None, GapSource::Unknown(Detector::Ahead), false),
        (Some(ETH1), GapSource::Netconsole, false),
    ];
    assert_eq!(reported(gaps.on(detected(found), began)), expected);
    let unlisted = Input::Looked(Looked {
        look: ALL,
        audited: audited(),
        bypassing: Vec::new(),
        sockets: Err("no iterator".to_owned()),
        detected: Vec::new(),
    });
    let expected = [(None, GapSource::Unknown(Detector::Sockets), false)];
    assert_eq!(reported(gaps.on(unlisted, began)), expected);
}

#[test]
fn an_xdp_program_that_sends_nothing_elsewhere_is_shown_once() {
    let began = Instant::now();
    let mut gaps = Gaps::new(began);
    let program = |sends| {
        Detected::Xdp(xdp::Program {
            interface: ETH1,
            id: 5,
            name: "firewall".to_owned(),
            sends,
        })
    };
    let shown = Output::SendsBack {
        netns: CARD,
        interface: ETH1,
        program: "firewall (id 5)".to_owned(),
    };
    assert_eq!(gaps.on(detected(vec![Ok(program(false))]), began), [shown]);
    assert_eq!(gaps.on(detected(vec![Ok(program(false))]), began), []);
    let outputs = gaps.on(detected(vec![Ok(program(true))]), began);
    let expected = [(Some(ETH1), GapSource::XdpProgram(5), false)];
    assert_eq!(reported(outputs), expected);
}

#[test]
fn a_user_who_invents_programs_has_a_share() {
    let began = Instant::now();
    let mut gaps = Gaps::new(began);
    let program = |number: u64| {
        let mut socket = socket(number);
        socket.owner.executable_inode = number + 1;
        let state = State {
            cookie: SocketCookie(number),
            ..bound_to(Some(ETH1))
        };
        listed(socket, Ok(Some(state)))
    };
    let sockets = (0..share::OF_A_USER + 20).map(program).collect();
    let mut reported = reported(gaps.on(looked(ALL, sockets), began));
    let others = reported.split_off(share::OF_A_USER as usize);
    let own: BTreeSet<_> = reported
        .iter()
        .map(|(_, by, _)| format!("{by:?}"))
        .collect();
    assert_eq!(own.len() as u64, share::OF_A_USER);
    let source = GapSource::Sockets(BypassMethod::QdiscBypass, SubjectKey::other_programs(1000));
    assert!(others.iter().all(|(_, other, _)| *other == source));
    // Sixteen sockets of them are known, and that there are more.
    let grown = others.iter().filter(|(.., has_grown)| *has_grown).count();
    assert_eq!(grown, 17);
    let key = GapKey {
        netns: CARD,
        interface: Some(ETH1),
        source,
    };
    let samples = gaps.samples(&key).expect("it is known");
    assert_eq!(samples.sockets.number(), "16+");
}

#[test]
fn what_was_found_beside_a_look_waits_for_the_report() {
    let began = Instant::now();
    let mut gaps = Gaps::new(began);
    let cause = CauseKind::NotAttached {
        interface: "eth1".to_owned(),
        error: "EINVAL".to_owned(),
    };
    let found = gap(CARD, Some(ETH1), GapSource::NotAttached, cause);
    assert_eq!(gaps.on(Input::Found(Box::new(found)), began), []);
    let expected = [(Some(ETH1), GapSource::NotAttached, false)];
    assert_eq!(reported(gaps.on(Input::Report, began)), expected);
    assert_eq!(gaps.on(Input::Report, began), []);
}
