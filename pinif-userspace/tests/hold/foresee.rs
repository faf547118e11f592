//! `pinif foresee`: what it reports is what happens.

mod hops;
mod ranges;
mod rules;

use std::fs;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use pinif_lab::{Device, LinkKind, Namespace, Route};
use pinif_userspace::schema;
use serde_json::{Value, json};
use socket2::SockRef;
use tempfile::NamedTempFile;

use crate::bench::{Bench, CONTROL_PLANE, CONTROL_PLANE_PINNED, Need, scenario, valid};

pub fn pinif(bench: &Bench, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinif"))
        .args(["foresee", "--netns", bench.card().name()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("pinif")
}

/// What its lines say, each of which must be as the published schema has it.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| valid(line, schema::foresee))
        .collect()
}

/// A policy in a file of its own.
fn policy(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
    file
}

/// What distinguishes a finding from others.
fn brief(finding: &Value) -> [&str; 5] {
    ["source", "kind", "rule", "destination", "egress_interface"]
        .map(|key| finding[key].as_str().unwrap_or("none"))
}

fn connected(card: &Namespace, local: &str, remote: &str) -> UdpSocket {
    card.run(|| {
        let socket = UdpSocket::bind(local).expect("a socket");
        socket.connect(remote).expect("a route");
        socket
    })
    .expect("the card is there")
}

#[test]
fn a_link_that_goes_down_is_foreseen() {
    scenario("foresee down", &[], |bench| {
        let socket = connected(bench.card(), "0.0.0.0:7001", "10.0.0.2:9");
        let _pinned = connected(bench.card(), "0.0.0.0:7002", "10.0.0.2:9");
        SockRef::from(&_pinned)
            .bind_device(Some(b"fab0"))
            .expect("a device");
        let _outside = connected(bench.card(), "0.0.0.0:7003", "203.0.113.9:9");
        let output = pinif(bench, &["--down", "fab0", "--format", "json"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let lines = lines(&output);
        let [finding, summary] = &lines[..] else {
            panic!("{lines:?}")
        };
        for (key, value) in [
            ("type", json!("finding")),
            ("latent", json!(true)),
            ("if", json!("fab0 down")),
            ("kind", json!("address-escape")),
            ("severity", json!("risk")),
            ("egress_interface", json!("eth1")),
            ("source", json!("10.0.0.1:7001")),
            ("destination", json!("10.0.0.2:9")),
            (
                "cause",
                json!("route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"),
            ),
            (
                "remedy",
                json!(format!(
                    "start the program by pinif run (`pinif run --netns {} --interface fab0 -- COMMAND`), or bind the socket to fab0 \
                     with SO_BINDTODEVICE: a bound socket leaves via no other interface",
                    bench.card().name()
                )),
            ),
        ] {
            assert_eq!(finding[key], value, "{finding}");
        }
        assert_eq!(finding["process"]["pid"], json!(std::process::id()));
        assert_eq!(
            (&summary["findings"], &summary["uncopied"]),
            (&json!(1), &json!([]))
        );
        assert_eq!(summary["foreseen"], json!(["fab0 down"]));

        // And so it happens.
        bench.card().set_down("fab0").expect("down");
        let (sent, outside) = bench.outside_while(|| socket.send(b"x"));
        assert_eq!((sent.expect("it is sent"), outside), (1, 1));
    });
}

#[test]
fn every_interface_is_foreseen_in_turn_and_nothing_is_changed() {
    scenario("foresee all", &[], |bench| {
        let _inside = connected(bench.card(), "0.0.0.0:7001", "10.0.0.2:9");
        let output = pinif(bench, &[]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let comm = fs::read_to_string("/proc/self/comm").expect("a name");
        assert!(
            said.starts_with(&format!(
                "fab0 down: 1 latent leak\n  risk  address-escape  {} (pid {}), unpinned: UDP to 10.0.0.2:9 would leave via eth1 with \
                 fab0 down\n    what     ",
                comm.trim(),
                std::process::id()
            )),
            "{said}"
        );
        let socket = "\n    socket   UDP 10.0.0.1:7001 → 10.0.0.2:9\n";
        assert!(said.contains(socket), "{said}");
        assert!(said.contains("\n\neth1 down: 0 latent leaks\n"), "{said}");
        assert_eq!(pinif(bench, &["--fail-on", "leak"]).status.code(), Some(0));
        assert_eq!(pinif(bench, &["--down", "eth1"]).status.code(), Some(0));
        let (sent, outside) = bench.outside_while(|| _inside.send(b"x"));
        assert_eq!((sent.expect("it is sent"), outside), (1, 0));
    });
}

/// A kernel whose tunnels are modules gives each new namespace one of each kind that is loaded, and deletes none of them:
/// the scratch namespace has interfaces, and names, before it is filled.
#[test]
fn tunnels_that_a_namespace_has_from_the_beginning_are_in_nobodys_place() {
    let needs = [Need::OwnMachine, Need::Link(LinkKind::IpIp)];
    scenario("foresee beside-tunnels", &needs, |bench| {
        let _setting = Setting::of("net/core/fb_tunnels_only_for_init_net", "0");
        let card = bench.card();
        if card.index("tunl0").is_err() {
            card.add_device(Device::new(LinkKind::Dummy, "tunl0"))
                .expect("a device");
        }
        let other = Namespace::new("beside").expect("a namespace");
        other.index("tunl0").expect("it is in each namespace");
        let socket = connected(card, "0.0.0.0:7001", "10.0.0.2:9");
        let output = pinif(bench, &["--down", "fab0", "--format", "json"]);
        let printed = lines(&output);
        let finding = printed.iter().find(|line| line["type"] == "finding");
        let finding = finding.expect("a finding");
        assert_eq!(brief(finding)[4], "eth1", "{finding}");
        assert_eq!(finding["process"]["pid"], json!(std::process::id()));
        drop(socket);
    });
}

/// A setting of all namespaces, until this is dropped.
struct Setting {
    path: PathBuf,
    before: String,
}

impl Setting {
    fn of(key: &str, value: &str) -> Self {
        let path = Path::new("/proc/sys").join(key);
        let before = fs::read_to_string(&path).expect("a setting");
        fs::write(&path, value).expect("it is set");
        Self { path, before }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.before) {
            eprintln!("{} is not as it was: {error}", self.path.display());
        }
    }
}

#[test]
fn a_socket_that_is_not_connected_is_foreseen_by_the_networks_that_it_may_send_to() {
    scenario("foresee unconnected", &[], |bench| {
        let card = bench.card();
        let bind = |local: &str| {
            card.run(|| UdpSocket::bind(local).expect("a socket"))
                .expect("the card")
        };
        let (anywhere, _inside) = (bind("0.0.0.0:7001"), bind("10.0.0.1:7002"));
        let output = pinif(bench, &["--down", "fab0", "--format", "json"]);
        let mut findings: Vec<_> = lines(&output)
            .iter()
            .filter(|line| line["type"] == "finding")
            .map(|line| {
                ["source", "kind", "destination", "egress_interface"]
                    .map(|key| line[key].as_str().expect("text").to_owned())
            })
            .collect();
        findings.sort();
        assert_eq!(
            findings,
            [
                ["0.0.0.0:7001", "unpinned", "10.0.0.0/24", "eth1"],
                ["10.0.0.1:7002", "address-escape", "10.0.0.0/24", "eth1"],
            ]
        );
        card.set_down("fab0").expect("down");
        let (sent, outside) = bench.outside_while(|| anywhere.send_to(b"x", "10.0.0.2:9"));
        assert_eq!((sent.expect("it is sent"), outside), (1, 1));
    });
}

#[test]
fn routes_that_come_and_go_are_foreseen() {
    scenario("foresee routes", &[], |bench| {
        let card = bench.card();
        let _inside = connected(card, "0.0.0.0:7001", "10.0.0.2:9");
        let added = "10.0.0.2/32 via 192.0.2.2 dev eth1";
        let output = pinif(bench, &["--route-add", added, "--format", "json"]);
        let lines_of = lines(&output);
        assert_eq!(lines_of[0]["egress_interface"], "eth1", "{output:?}");
        assert_eq!(lines_of[0]["if"], format!("route {added} added"));

        card.add_route(Route::new("10.9.0.0/16".parse().expect("a prefix"), "fab0"))
            .expect("a route");
        let _further = connected(card, "0.0.0.0:7002", "10.9.0.9:9");
        let output = pinif(
            bench,
            &["--route-del", "10.9.0.0/16 dev fab0", "--format", "json"],
        );
        let lines_of = lines(&output);
        assert_eq!(lines_of.len(), 2, "{output:?}");
        assert_eq!(
            (&lines_of[0]["source"], &lines_of[0]["egress_interface"]),
            (&json!("10.0.0.1:7002"), &json!("eth1"))
        );
    });
}

#[test]
fn what_cannot_be_foreseen_is_reported() {
    scenario("foresee errors", &[], |bench| {
        let refused = |arguments: &[&str]| {
            let output = pinif(bench, arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            said
        };
        bench.lacks("fab9", &refused(&["--down", "fab9"]));
        let said = refused(&["--route-del", "10.77.0.0/16 dev fab0"]);
        let card = bench.card().name();
        assert_eq!(
            said,
            format!(
                "pinif: there is no such route 10.77.0.0/16 dev fab0 in the network namespace {card}; `ip -n {card} route show table all` \
                 shows those that there are\n"
            )
        );
        let said = refused(&["--route-add", "10.0.0.0/24 dev fab0"]);
        assert!(
            said.starts_with(
                "pinif: there is such a route 10.0.0.0/24 dev fab0 in the network namespace "
            ),
            "{said}"
        );
        let said = refused(&["--route-add", "10.0.0.0/8 through eth1"]);
        assert!(said.contains("`through` is not known"), "{said}");
    });
}

#[test]
fn vlans_go_down_with_their_trunk() {
    scenario("foresee vlan", &[Need::Link(LinkKind::Vlan)], |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Vlan, "fab0.7").over("fab0").id(7))
            .expect("a VLAN");
        card.set_up("fab0.7").expect("up");
        card.add_address("fab0.7", "10.7.0.1/24".parse().expect("a prefix"))
            .expect("an address");
        let socket = connected(card, "0.0.0.0:7001", "10.7.0.2:9");
        let output = pinif(bench, &["--down", "fab0", "--format", "json"]);
        let lines_of = lines(&output);
        assert_eq!(
            brief(&lines_of[0]),
            [
                "10.7.0.1:7001",
                "address-escape",
                "none",
                "10.7.0.2:9",
                "eth1"
            ],
            "{output:?}"
        );
        card.set_down("fab0").expect("down");
        let (sent, outside) = bench.outside_while(|| socket.send(b"x"));
        assert_eq!((sent.expect("it is sent"), outside), (1, 1));
    });
}
