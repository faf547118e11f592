//! Which sockets are shown, how they fit a terminal, and the exit status.

use std::io::Read as _;
use std::net::UdpSocket;
use std::process::Stdio;

use nix::pty::{Winsize, openpty};
use pinif_userspace::schema;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use super::{pinif, udp};
use crate::bench::{Bench, scenario, valid};

/// The ports of what is shown with these arguments, and the exit status.
fn ports(bench: &Bench, arguments: &[&str]) -> (Vec<String>, Option<i32>) {
    let mut command = pinif(bench, &["--format", "json"]);
    let output = command.args(arguments).output().expect("pinif");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let port = |line: &str| {
        let line = valid(line, schema::sockets);
        let local = line["local"].as_str().unwrap_or_default().to_owned();
        local.rsplit(':').next().unwrap_or_default().to_owned()
    };
    let mut ports: Vec<_> = text.lines().map(port).collect();
    ports.sort();
    (ports, output.status.code())
}

/// Sockets of each risk: 7001 misrouted, 7002 pinned, 7003 unpinned, and a listener of TCP, which the default route is for.
fn open(bench: &Bench) -> (Vec<UdpSocket>, std::net::TcpListener) {
    let card = bench.card();
    let sockets = vec![
        udp(card, "10.0.0.1:7001", None, Some("203.0.113.9:9")),
        udp(card, "10.0.0.1:7002", Some("fab0"), None),
        udp(card, "0.0.0.0:7003", None, Some("10.0.0.2:9")),
    ];
    let listener = card.run(|| std::net::TcpListener::bind("0.0.0.0:7004"));
    (sockets, listener.expect("the card").expect("a listener"))
}

#[test]
fn sockets_are_shown_by_what_is_asked_for() {
    scenario("sockets filters", &[], |bench| {
        let _open = open(bench);
        let own = std::process::id().to_string();
        let comm = std::fs::read_to_string("/proc/self/comm").expect("a name");
        let all = ["7001", "7002", "7003", "7004"];
        for (arguments, expected, status) in [
            (vec!["--process", own.as_str()], &all[..], 2),
            (vec!["--process", comm.trim()], &all[..], 2),
            (vec!["--process", "no-such-*"], &[], 0),
            (vec!["--process", &own, "--interface", "eth1"], &["7001"], 2),
            (
                vec!["--process", &own, "--interface", "fab*"],
                &["7002", "7003"],
                0,
            ),
            (
                vec!["--risk", "misrouted", "--risk", "unpinned"],
                &["7001", "7003"],
                2,
            ),
            (vec!["--process", &own, "--risk", "pinned"], &["7002"], 0),
            (vec!["--state", "listen"], &["7004"], 2),
            (
                vec!["--process", &own, "--state", "connected"],
                &["7001", "7003"],
                2,
            ),
            (vec!["--process", &own, "--fail-on", "never"], &all[..], 0),
            (vec!["--process", &own, "--fail-on", "leak"], &all[..], 0),
        ] {
            let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(
                ports(bench, &arguments),
                (expected, Some(status)),
                "{arguments:?}"
            );
        }
        for (arguments, why) in [
            (
                &["--process", "no-such-*"][..],
                format!("`--process no-such-*` says; those that there are: {}", comm.trim()),
            ),
            (
                &["--interface", "eth7", "--interface", "eth8"],
                "`--interface eth7 --interface eth8` says; those that there are: eth1, fab0".to_owned(),
            ),
            (
                &["--risk", "pinned", "--state", "listen"],
                "`--risk pinned` and `--state listen` say together".to_owned(),
            ),
            (
                &["--risk", "stuck"],
                "`--risk stuck` says; those that there are: default-route, misrouted, pinned, unpinned"
                    .to_owned(),
            ),
        ] {
            let shown = pinif(bench, arguments).output().expect("pinif");
            let said = String::from_utf8_lossy(&shown.stdout).into_owned();
            let (first, next) = said.split_once('\n').expect("lines");
            assert_eq!(first, format!("none of 4 sockets is as {why}"));
            assert!(next.starts_with("Next: `pinif sockets --netns "), "{next}");
            assert_eq!(shown.status.code(), Some(0), "{shown:?}");
            let json = pinif(bench, arguments).args(["--format", "json"]).output();
            let json = json.expect("pinif");
            assert!(json.stdout.is_empty() && json.stderr.is_empty(), "{json:?}");
        }
        let refused = pinif(bench, &["--risk", "odd"]).output().expect("pinif");
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            said.contains("misrouted") && said.contains("default-route"),
            "{said}"
        );
    });
}

/// What a terminal of so many columns shows.
fn on_terminal(bench: &Bench, columns: u16, arguments: &[&str]) -> String {
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).expect("a terminal");
    let mut child = pinif(bench, arguments)
        .env("NO_COLOR", "1")
        .stdout(Stdio::from(pty.slave))
        .spawn()
        .expect("pinif");
    let mut shown = Vec::new();
    // It ends with EIO once nothing has the other side open.
    let _ = std::fs::File::from(pty.master).read_to_end(&mut shown);
    child.wait().expect("a child");
    String::from_utf8(shown).expect("UTF-8").replace('\r', "")
}

#[test]
fn each_socket_is_shown_once_at_any_width_and_no_word_is_broken() {
    scenario("sockets widths", &[], |bench| {
        let _open = open(bench);
        let _long = udp(
            bench.card(),
            "[fd00::1]:7005",
            None,
            Some("[2001:db8:f::9]:9"),
        );
        for columns in [60, 80, 100, 140] {
            let none = on_terminal(bench, columns, &["--process", "no-such", "--risk", "stuck"]);
            assert!(none.starts_with("none of 5 sockets is as "), "{none}");
            assert!(
                none.lines()
                    .all(|line| line.chars().count() <= columns.into()),
                "{columns}\n{none}"
            );
            let text = on_terminal(bench, columns, &[]);
            assert!(
                text.starts_with("risk           bound to  leaves via"),
                "{columns}\n{text}"
            );
            assert_eq!(
                text.matches("risk  ").count(),
                1,
                "one table: {columns}\n{text}"
            );
            for port in ["7001", "7002", "7003", "7004", "7005"] {
                assert_eq!(
                    text.matches(&format!(":{port}")).count(),
                    1,
                    "{port} {columns}\n{text}"
                );
            }
            for line in text.lines() {
                let fits = line.chars().count() <= columns.into();
                assert!(
                    fits || line.split_whitespace().count() <= 1,
                    "{columns}: {line}\n{text}"
                );
            }
        }
    });
}

#[test]
fn a_packet_socket_is_unpinned_as_in_the_matrix() {
    scenario("sockets packet", &[], |bench| {
        let card = bench.card();
        let packet = card
            .run(|| Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0))))
            .expect("the card")
            .expect("a packet socket");
        let index = card.index("fab0").expect("fab0");
        let mut address: libc::sockaddr_ll = unsafe_zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = index.0.cast_signed();
        bind(&packet, &address);
        let line = super::line_of(bench, "packet");
        assert_eq!(
            [&line["risk"], &line["bound_device"], &line["leaves_by"]],
            [&Value::from("unpinned"), &Value::Null, &Value::from("fab0")]
        );
    });
}

fn unsafe_zeroed() -> libc::sockaddr_ll {
    // SAFETY: all bytes zero is an address of no family.
    unsafe { std::mem::zeroed() }
}

fn bind(socket: &Socket, address: &libc::sockaddr_ll) {
    use std::os::fd::AsRawFd as _;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    let address = &raw const *address;
    // SAFETY: the address is there for the call, with the length that is given.
    let outcome = unsafe { libc::bind(socket.as_raw_fd(), address.cast(), length) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

/// On a kernel that lists raw sockets there is nothing to say; on another one, they are not passed over in silence.
#[test]
fn raw_sockets_that_are_not_listed_are_counted() {
    scenario("sockets raw", &[], |bench| {
        let _raw = bench
            .card()
            .run(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(253))))
            .expect("the card")
            .expect("a raw socket");
        let output = pinif(bench, &["--format", "json"]).output().expect("pinif");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| valid(line, schema::sockets))
            .collect();
        let listed = lines.iter().any(|line| line["protocol"] == "raw 253");
        let unlisted = lines.iter().find(|line| line["type"] == "unlisted");
        assert_eq!(
            unlisted.map(|line| line["raw"].clone()),
            (!listed).then(|| Value::from(1))
        );
        let foreseen = crate::foresee::pinif(bench, &["--down", "fab0"]);
        let said = String::from_utf8_lossy(&foreseen.stdout).into_owned();
        let says = "1 raw socket is not listed: this kernel has no CONFIG_INET_RAW_DIAG";
        assert_eq!(said.contains(says), !listed, "{said}");
        let shown = pinif(bench, &[]).output().expect("pinif");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert_eq!(shown.contains(says), !listed, "{shown}");
        if !listed {
            assert_eq!(foreseen.status.code(), Some(3), "{said}");
        }
    });
}
