//! The sockets of the audited namespaces, as `pinif sockets` lists them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pinif_userspace::control::SocketsFilter;
use pinif_userspace::control::protocol::SocketsPage;
use serde_json::Value;
use socket2::SockRef;

use super::asked::{LEAK, Place};
use crate::bench::{Bench, leak, scenario};

/// One that leaves elsewhere than its address says, one that nothing binds, and one that is bound.
fn three(bench: &Bench) -> [UdpSocket; 3] {
    let made = bench.card().run(|| {
        let bind = |address: &str| UdpSocket::bind(address).expect("an address of the card");
        let misrouted = bind("10.0.0.1:4001");
        misrouted.connect("203.0.113.9:9").expect("a route");
        let pinned = bind("0.0.0.0:4003");
        SockRef::from(&pinned)
            .bind_device(Some(b"fab0"))
            .expect("a device of the card");
        [misrouted, bind("0.0.0.0:4002"), pinned]
    });
    made.expect("the card")
}

/// What `pinif sockets` prints of the card.
fn listed(bench: &Bench) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_pinif"))
        .args(["sockets", "--netns", bench.card().name(), "--format"])
        .args(["json", "--fail-on", "never"])
        .output()
        .expect("pinif runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = text.lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut sockets: Vec<_> = lines.filter(|line| line["type"] == "socket").collect();
    for socket in &mut sockets {
        socket.as_object_mut().expect("fields").remove("type");
    }
    sockets
}

fn ports(page: &SocketsPage<'_>) -> Vec<u16> {
    let locals = page.sockets.iter().filter_map(|socket| {
        let local: SocketAddr = socket.local.as_deref()?.parse().ok()?;
        Some(local.port())
    });
    locals.collect()
}

/// The answer, once the sockets are listed: that may take a slow machine longer than whoever asks waits.
fn get(place: &Place, target: &str) -> (u16, Value) {
    loop {
        let (status, answer) = place.get(target);
        if answer["error"] != "the sockets are still being listed" {
            return (status, answer);
        }
    }
}

#[test]
fn they_are_those_that_pinif_sockets_lists_a_page_at_a_time() {
    scenario("control sockets", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let sockets = three(bench);
        let ask = |filter: SocketsFilter| {
            get(&place, "/v1/sockets");
            place.ask(async |client| client.sockets(&filter).await)
        };
        let all = get(&place, "/v1/sockets").1;
        assert_eq!(all["sockets"], Value::from(listed(bench)));
        assert_eq!((&all["total"], &all["next"]), (&3.into(), &Value::Null));

        let some = |text: &str| Some(text.to_owned());
        let page = |from| SocketsFilter {
            from,
            limit: Some(2),
            ..SocketsFilter::default()
        };
        let first = ask(page(None));
        assert_eq!(
            (ports(&first), first.total, first.next),
            (vec![4001, 4002], 3, Some(2))
        );
        let second = ask(page(first.next));
        assert_eq!(
            (ports(&second), second.total, second.next),
            (vec![4003], 3, None)
        );

        for (filter, wanted) in [
            (
                SocketsFilter {
                    risk: some("misrouted,pinned"),
                    ..SocketsFilter::default()
                },
                vec![4001, 4003],
            ),
            (
                SocketsFilter {
                    interface: some("fab*"),
                    ..SocketsFilter::default()
                },
                vec![4003],
            ),
            (
                SocketsFilter {
                    process: some(&std::process::id().to_string()),
                    ..SocketsFilter::default()
                },
                vec![4001, 4002, 4003],
            ),
            (
                SocketsFilter {
                    netns: some("elsewhere"),
                    ..SocketsFilter::default()
                },
                Vec::new(),
            ),
        ] {
            let page = ask(filter);
            assert_eq!(
                (ports(&page), page.total),
                (wanted.clone(), wanted.len() as u64)
            );
        }
        let (status, wrong) = place.get("/v1/sockets?risk=great");
        assert_eq!(status, 400);
        assert_eq!(
            wrong["error"],
            "`risk`: there is no risk `great`; there are misrouted, default-route, unpinned, crossed, stuck, pinned, internal"
        );
        drop(sockets);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn more_than_an_auditor_lists_are_refused_and_the_audit_goes_on() {
    const TOO_MANY: u16 = 16_385;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let hard = hard.max(u64::from(TOO_MANY) + 1_000);
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("our own limit");
    scenario("control many-sockets", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let bind = |number: u16| {
            let address = Ipv4Addr::new(127, 0, 0, 1 + (number / 1000) as u8);
            UdpSocket::bind((address, 10_000 + number % 1000)).expect("a free port")
        };
        let sockets = bench
            .card()
            .run(|| (0..TOO_MANY).map(bind).collect::<Vec<_>>());
        let sockets = sockets.expect("the card");
        let (status, answer) = get(&place, "/v1/sockets");
        assert_eq!(status, 503);
        assert_eq!(
            answer["error"],
            "there are 16385 sockets, and an auditor lists 16384 at most"
        );
        drop(sockets);
        let sent = bench.send(&format!("{LEAK} --count 3"));
        let leaked = leak("device-escape").bound("fab0").egress("eth1");
        let report = auditor.stop();
        report
            .expect()
            .finding(leaked.packets(3).by(&sent))
            .nothing_else();
    });
}
