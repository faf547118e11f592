//! What a finding costs in memory, counted at the allocator.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    net::IpAddr,
    sync::Arc,
    time::SystemTime,
};

use pinif_ebpf::{
    intent::NO_USER,
    key::{IfIndex, NetNsCookie, SocketCookie},
    sighting::{Count, Origin},
    subject::{Program, Subject},
    verdict::{Kind, Severity},
};

use super::{
    decode::{Headers, Owner, Sighted},
    enrich,
    finding::{Finding, FindingId},
    process::Process,
    scene::Scene,
    shared::Shared,
};
use crate::{
    host::{namespaces::Enter, network::Network, routes::RouteError},
    policy::Policy,
};

/// How much of its own a finding may have, in bytes.
const MOST: usize = 200;
/// How many findings are made.
const MANY: usize = 1000;

/// Counts what each thread has allocated and not freed.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// What this thread has allocated and not freed, in bytes.
pub(crate) fn held() -> isize {
    HELD.with(Cell::get)
}

fn count(bytes: usize, sign: isize) {
    // A thread that ends may free after its counter is gone: it is not read then.
    let _ = HELD.try_with(|held| held.set(held.get() + sign * bytes as isize));
}

// SAFETY: all is passed on to the system's allocator, whose contract is the same; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The finding of one of many sockets of a few programs, each with another destination.
fn finding(number: usize, policy: &Policy, shared: &mut Shared) -> Finding {
    let network = Network::default();
    let program = number % 7;
    let sighted = Sighted {
        kind: Kind::PolicyEscape,
        severity: Severity::Leak,
        dropped: false,
        also: vec![Kind::Unpinned],
        origin: Origin::Process,
        subject: Subject::Program(Program {
            uid: NO_USER,
            ..Program::default()
        }),
        netns: NetNsCookie(1),
        egress: IfIndex(3),
        bound: None,
        previous_bound: Some(IfIndex(2)),
        arrived: None,
        source_owner: Some(IfIndex(2)),
        headers: Some(Headers {
            source: IpAddr::from([10, 0, 0, 1]),
            destination: IpAddr::from([10, 1, (number / 256) as u8, number as u8]),
            source_port: Some(number as u16),
            destination_port: Some(9),
            protocol: 17,
            tos: 0,
        }),
        time: 0,
        socket: Some(SocketCookie(number as u64)),
        socket_inode: None,
        family: libc::AF_INET,
        rule: Some(0),
        generation: 1,
        mark: 0,
        bound_address: Some(IpAddr::from([10, 0, 0, 1])),
        requested: None,
        owner: None::<Owner>,
        subflow: None,
        join: false,
        born: true,
    };
    let process = Process {
        pid: Some(program as u32),
        started: Some(1),
        comm: format!("program-{program}"),
        exe: Some(format!("/usr/lib/some/where/program-{program}")),
        uid: 0,
        cgroup: Some(format!("/system.slice/program-{program}.service")),
    };
    let scene = Scene {
        netns: "card",
        enter: &Enter::Own,
        network: &network,
        policy,
        name: &|index| format!("interface-{}", index.0),
        entrance: &|_| None,
        runs: &|_| None,
        silent: &|_, _| None,
        tracked: &|_| None,
        nft: &|| Arc::from([]),
        groups: &|_| Vec::new(),
        options: &|| None,
        serves: &|_| false,
        endpoints: &Vec::new,
        encapsulating: &|_| Arc::from([]),
        gone: &["backplane0".to_owned()],
    };
    let count = Count {
        packets: 1,
        bytes: 60,
    };
    enrich::finding(
        FindingId(number as u64),
        &sighted,
        Some(process),
        count,
        SystemTime::UNIX_EPOCH,
        &scene,
        &mut |query| Err(RouteError::Unreachable(query.destination)),
        shared,
    )
}

#[test]
fn a_finding_has_at_most_200_bytes_of_its_own() {
    let policy = Policy::parse(
        "[zone.backplane]\ninterfaces = [\"backplane*\"]\n[[rule]]\nname = \"control-plane\"\n\
         destination = [\"10.0.0.0/8\"]\nonly_via = [\"backplane\"]\n",
        "memory",
    )
    .expect("a policy");
    let mut shared = Shared::default();
    let mut findings = Vec::with_capacity(2 * MANY);
    // What is shared is there after the first ones.
    findings.extend((0..MANY).map(|number| finding(number, &policy, &mut shared)));
    let before = HELD.get();
    findings.extend((MANY..2 * MANY).map(|number| finding(number, &policy, &mut shared)));
    let held = usize::try_from(HELD.get() - before).expect("it is not less");
    let own = size_of::<Finding>() + held / MANY;
    assert!(own <= MOST, "{own} bytes, {held} allocated for {MANY}");
    let [first, .., last] = &findings[..] else {
        panic!("there are many")
    };
    assert_ne!(first.flow, last.flow);
    assert_eq!(first.causes.len(), 2, "{:?}", first.causes);
    assert_eq!(
        first.place.rule.as_ref().map(|rule| rule.only_via.len()),
        Some(1)
    );
}

#[test]
fn the_allocator_counts() {
    let before = HELD.get();
    let kept = vec![0u8; 1000];
    assert_eq!(HELD.get() - before, 1000);
    drop(kept);
    assert_eq!(HELD.get(), before);
}
