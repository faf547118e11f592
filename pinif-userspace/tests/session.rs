//! A policy that would drop the session that pinif is run from is not enforced.

mod bench;

use std::net::{SocketAddr, TcpListener, TcpStream};

use pinif_ebpf::verdict::Kind;
use pinif_userspace::commands::audit::session;
use pinif_userspace::host::netns::NetNs;
use pinif_userspace::lab::Namespace;
use pinif_userspace::policy::Policy;

use bench::{Bench, scenario};

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
                "(pid {}) connection from 192.0.2.1:2222 to {peer} leaves by eth1, which is a policy-escape under the rule log-in",
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
