//! A policy that would drop the session that pinif is run from is not enforced.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::str::FromStr as _;

use nix::sys::signal::Signal;
use nix::sys::socket::{getsockopt, sockopt};
use pinif_ebpf::verdict::Kind;
use pinif_lab::{Namespace, Route};
use pinif_userspace::commands::audit::session;
use pinif_userspace::host::netns::NetNs;
use pinif_userspace::policy::Policy;
use socket2::{Domain, Socket, Type};
use tempfile::NamedTempFile;

use crate::bench::{Bench, Pinif, scenario};

/// Whoever logs in, does so over the backplane.
const BY_THE_BACKPLANE: &str = r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "log-in"
protocol = "tcp"
source_port = 2222
only_via = ["backplane"]
"#;

/// A connection that somebody made from elsewhere to the card: the card's end, and the other.
fn log_in(bench: &Bench, from: &Namespace, to: &str) -> (TcpStream, TcpStream) {
    let to: SocketAddr = to.parse().expect("an address");
    let listener = bench
        .card()
        .run(|| TcpListener::bind(("0.0.0.0", to.port())));
    let listener = listener.expect("the card").expect("a free port");
    let client = from.run(|| TcpStream::connect(to));
    let client = client.expect("the namespace").expect("a connection");
    let (server, _) = listener.accept().expect("a connection");
    (server, client)
}

fn card(bench: &Bench) -> NetNs {
    NetNs::named(bench.card().name()).expect("the card")
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, "test").expect("a policy")
}

#[test]
fn a_session_that_an_ancestor_holds_is_found() {
    scenario("enforce session held", &[], |bench| {
        let outside = &bench.chassis.outside;
        let (server, _client) = log_in(bench, outside, "192.0.2.1:2222");
        let namespaces = [card(bench)];
        let cuts = session::check(&policy(BY_THE_BACKPLANE), &namespaces).expect("it is known");
        let [cut] = &cuts[..] else { panic!("{cuts:?}") };
        assert_eq!(
            (&*cut.interface, cut.kind, cut.rule.as_deref()),
            ("eth1", Kind::PolicyEscape, Some("log-in"))
        );
        let said = cut.to_string();
        let peer = server.peer_addr().expect("a peer");
        assert!(
            said.ends_with(&format!(
                "(pid {}) connection from 192.0.2.1:2222 to {peer} leaves via eth1, which is a policy-escape under the rule log-in",
                std::process::id()
            )),
            "{said}"
        );

        // Not where it is not audited, nor where it may leave so.
        assert_eq!(
            session::check(&policy(BY_THE_BACKPLANE), &[]).expect("none"),
            []
        );
        let allowed = BY_THE_BACKPLANE.replace("fab*", "eth*");
        assert_eq!(
            session::check(&policy(&allowed), &namespaces).expect("none"),
            []
        );
        let own = [NetNs::current().expect("this one")];
        assert_eq!(
            session::check(&policy(BY_THE_BACKPLANE), &own).expect("none"),
            []
        );
        drop(server);
        assert_eq!(
            session::check(&policy(BY_THE_BACKPLANE), &namespaces).expect("none"),
            []
        );
    });
}

#[test]
fn a_session_over_the_backplane_is_let_alone() {
    scenario("enforce session inside", &[], |bench| {
        let (_server, _client) = log_in(bench, &bench.chassis.peer, "10.0.0.1:2222");
        let namespaces = [card(bench)];
        assert_eq!(
            session::check(&policy(BY_THE_BACKPLANE), &namespaces).expect("none"),
            []
        );
    });
}

/// A connection to the front port from an address that a rule keeps on the backplane: it came by the front port, and is answered by the
/// backplane.
fn log_in_from_a_kept_address(bench: &Bench, listen: &str) -> (TcpStream, TcpStream) {
    let (card, outside) = (bench.card(), &bench.chassis.outside);
    let kept = || Route::new("10.0.0.2/32".parse().expect("a prefix"), "eth1");
    let gateway = "192.0.2.2".parse().expect("an address");
    card.add_route(kept().via(gateway)).expect("a route");
    let listener = card.run(|| TcpListener::bind(listen));
    let listener = listener.expect("the card").expect("a free port");
    let client = outside.run(|| -> std::io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let address = |text: &str| SocketAddr::from_str(text).expect("an address").into();
        socket.bind(&address("10.0.0.2:0"))?;
        socket.connect(&address("192.0.2.1:2222"))?;
        Ok(socket.into())
    });
    let client = client.expect("the outside").expect("a connection");
    let (server, _) = listener.accept().expect("a connection");
    card.delete_route(kept().via(gateway)).expect("a route");
    (server, client)
}

#[test]
fn a_session_that_arrives_where_it_must_not_is_found() {
    // A socket of either family says by which interface its connection came.
    for (name, listen) in [
        ("enforce session arrives", "0.0.0.0:2222"),
        ("enforce session arrives-mapped", "[::]:2222"),
    ] {
        scenario(name, &[], |bench| {
            let (server, _client) = log_in_from_a_kept_address(bench, listen);
            let kept = "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"control\"\n\
                destination = [\"10.0.0.0/8\"]\nonly_via = [\"backplane\"]\n";
            let namespaces = [card(bench)];
            let cuts = session::check(&policy(kept), &namespaces).expect("it is known");
            let [cut] = &cuts[..] else { panic!("{cuts:?}") };
            assert_eq!(
                (&*cut.interface, cut.kind, cut.rule.as_deref()),
                ("eth1", Kind::IngressEscape, Some("control"))
            );
            let said = cut.to_string();
            let peer = server.peer_addr().expect("a peer");
            assert!(
                said.ends_with(
                    "arrives on eth1, which is an ingress-escape under the rule control"
                ) && peer.ip().to_canonical().to_string() == "10.0.0.2",
                "{said}"
            );
            // What asks for it is as it was.
            assert_eq!(packet_info(&server), 0);
            for spared in ["alert", "allow"] {
                let spared = match spared {
                    "alert" => format!("{kept}action = \"alert\"\n"),
                    _ => kept.replace("only_via = [\"backplane\"]", "action = \"allow\""),
                };
                let cuts = session::check(&policy(&spared), &namespaces).expect("it is known");
                assert_eq!(cuts, []);
            }
        });
    }
}

/// Whether a socket asks for what a packet says of its interface (`IP_PKTINFO`); zero of one that has no such option.
fn packet_info(socket: &TcpStream) -> i32 {
    getsockopt(socket, sockopt::Ipv4PacketInfo).map_or(0, i32::from)
}

#[test]
fn a_session_to_an_address_of_a_zone_is_kept_out_by_another_interface() {
    scenario("enforce session zone", &[], |bench| {
        // Bound to the front port, with the backplane's address: what it sends is a note, and what it receives a leak.
        let card = bench.card();
        let listener = card.run(|| -> std::io::Result<TcpListener> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind_device(Some(b"eth1"))?;
            socket.bind(
                &SocketAddr::from_str("10.0.0.1:2222")
                    .expect("an address")
                    .into(),
            )?;
            socket.listen(1)?;
            Ok(socket.into())
        });
        let listener = listener.expect("the card").expect("a free port");
        let outside = &bench.chassis.outside;
        let client = outside.run(|| TcpStream::connect("10.0.0.1:2222"));
        let _client = client.expect("the outside").expect("a connection");
        let (_server, _) = listener.accept().expect("a connection");
        let contained = "[zone.backplane]\ninterfaces = [\"fab*\"]\ncontained = true\n";
        let namespaces = [self::card(bench)];
        let said = session::objection(&policy(contained), &namespaces);
        let said = said.expect("it is known").expect("it would be dropped");
        assert!(
            said.ends_with(
                "arrives on eth1, which is an ingress-escape; change the policy, or put a rule with `action = \"allow\"` for this \
                 connection above"
            ),
            "{said}"
        );
        let allowed = format!(
            "{contained}[[rule]]\nname = \"log-in\"\nsource_port = 2222\naction = \"allow\"\n"
        );
        let none = session::objection(&policy(&allowed), &namespaces);
        assert_eq!(none.expect("it is known"), None);
    });
}

/// What `pinif audit` says that is started with this policy, and refuses.
fn refused(bench: &Bench, text: &str, session: Option<&str>) -> String {
    let file = file(text);
    let mut command = bench.auditor().into_command();
    command.args(["--enforce", "--policy"]).arg(file.path());
    if let Some(session) = session {
        command.env("SSH_CONNECTION", session);
    }
    let ended = Pinif::start(command).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    ended.stderr.join("\n")
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
    file
}

const REFUSAL: &str = "connection from 192.0.2.1:2222 to 192.0.2.2:";
const REASON: &str = "leaves via eth1, which is a policy-escape under the rule log-in; change the policy, or put a rule with \
    `action = \"alert\"` for this connection above. `--enforce-for 60s` lets you try it, and undoes itself";

#[test]
fn a_policy_that_would_drop_the_session_is_refused() {
    scenario("enforce session refused", &[], |bench| {
        let (mut server, mut client) = log_in(bench, &bench.chassis.outside, "192.0.2.1:2222");
        let said = refused(bench, BY_THE_BACKPLANE, None);
        assert!(
            said.starts_with("pinif: --enforce would drop the session that pinif is run from: ")
                && said.contains(REFUSAL)
                && said.ends_with(REASON),
            "{said}"
        );

        // A rule that alerts spares it, and it goes on.
        let spared = format!("{BY_THE_BACKPLANE}action = \"alert\"\n");
        let auditor = bench.audit_with(&spared, &["--enforce"]);
        server.write_all(b"x").expect("sent");
        let mut byte = [0];
        client.read_exact(&mut byte).expect("it arrives");
        drop((server, client));
        auditor.stop();
    });
}

#[test]
fn a_session_of_another_process_is_named_by_ssh() {
    scenario("enforce session named", &[], |bench| {
        let (server, client) = log_in(bench, &bench.chassis.outside, "192.0.2.1:2222");
        let peer = server.peer_addr().expect("a peer");
        // The connection becomes another process's, which is no ancestor of pinif.
        let mut holder = Command::new("sleep");
        holder.arg("600").stdin(OwnedFd::from(server));
        let mut child = holder.spawn().expect("sleep");
        drop(holder);
        let named = format!("{} {} 192.0.2.1 2222", peer.ip(), peer.port());
        let said = refused(bench, BY_THE_BACKPLANE, Some(&named));
        let _ended = child.kill();
        let _reaped = child.wait();
        drop(client);
        assert!(
            said.contains(&format!("sleep's (pid {}) {REFUSAL}", child.id())),
            "{said}"
        );
    });
}

#[test]
fn what_undoes_itself_may_be_tried_and_a_changed_policy_is_refused() {
    scenario("enforce session later", &[], |bench| {
        let (_server, _client) = log_in(bench, &bench.chassis.outside, "192.0.2.1:2222");
        let tried = file(BY_THE_BACKPLANE);
        let mut command = bench.auditor().into_command();
        command
            .args(["--enforce-for", "600s", "--policy"])
            .arg(tried.path());
        let mut pinif = Pinif::start(command);
        pinif.wait_for_note("warning: --enforce-for would drop the session that pinif is run from");
        pinif.wait_for_note("Auditing ");
        pinif.signal(Signal::SIGTERM);
        pinif.end();

        let harmless = BY_THE_BACKPLANE.replace("2222", "2223");
        let changing = file(&harmless);
        let mut command = bench.auditor().into_command();
        command.args(["--enforce", "--policy"]).arg(changing.path());
        let mut pinif = Pinif::start(command);
        pinif.wait_for_note("Auditing ");
        std::fs::write(changing.path(), BY_THE_BACKPLANE).expect("it is written");
        let said = pinif.wait_for_note("error: the changed policy would drop the session");
        assert!(
            said.contains(REFUSAL) && said.ends_with("The one in force stays"),
            "{said}"
        );
        std::fs::write(changing.path(), harmless.replace("2223", "2224")).expect("it is written");
        pinif.wait_for_note("a new policy is in force");
        pinif.signal(Signal::SIGTERM);
        pinif.end();
    });
}
