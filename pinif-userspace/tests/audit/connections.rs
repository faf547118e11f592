//! What answers a connection that leaks is named in its finding, and is no second one.

use pinif_lab::Namespace;
use socket2::{Domain, Socket, Type};

use crate::bench::{Bench, CONTROL_PLANE, leak, scenario, together};

together! {
    answered:
        the_icmp_that_answers_a_leak_is_named_in_it,
        the_icmpv6_that_answers_a_leak_is_named_in_it,
        the_reset_that_answers_a_leak_is_named_in_it,
        what_another_host_sends_is_a_finding_of_its_own;
}

/// The outside says of each datagram that nobody has its port.
fn unreachable(name: &str, [bind, to]: [&'static str; 2], protocol: &'static str) {
    scenario(name, &[], |bench| {
        for limit in ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"] {
            let outside = &bench.chassis.outside;
            outside.set_sysctl(limit, "0").expect("a limit");
        }
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let before = bench.received();
        let sent = bench.send(&format!("udp --bind {bind} --to {to} --count 10"));
        bench.wait_until_received(before, 10);
        let answer = leak("ingress-escape").egress("eth1").packets(10);
        let escape = leak("address-escape").egress("eth1").packets(10).by(&sent);
        auditor
            .stop()
            .expect()
            .finding(escape.with(answer.protocol(protocol)))
            .nothing_else();
    });
}

fn the_icmp_that_answers_a_leak_is_named_in_it() {
    unreachable("32 icmp", ["10.0.0.1", "203.0.113.9:10"], "icmp");
}

fn the_icmpv6_that_answers_a_leak_is_named_in_it() {
    unreachable("32 icmp-v6", ["fd00::1", "[2001:db8::2]:10"], "icmpv6");
}

fn the_reset_that_answers_a_leak_is_named_in_it() {
    scenario("32 reset", &[], |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        refused(bench.card(), "10.0.0.1:0", "203.0.113.9:10");
        let answer = leak("ingress-escape").egress("eth1").packets(1);
        let escape = leak("address-escape").egress("eth1").packets(1);
        // The test's own socket is of another cgroup, of which no process is known.
        let answered = escape.protocol("tcp").with(answer.protocol("tcp"));
        auditor.stop().expect().finding(answered).nothing_else();
    });
}

/// Connects, and is refused.
fn refused(namespace: &Namespace, from: &str, to: &str) {
    let outcome = namespace.run(|| {
        let (from, to): (std::net::SocketAddr, std::net::SocketAddr) = (
            from.parse().expect("an address"),
            to.parse().expect("an address"),
        );
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&from.into())?;
        socket.connect(&to.into())
    });
    let error = outcome.expect("the namespace").expect_err("nobody listens");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED), "{error}");
}

/// The socket leaks to one host, and another one sends to its program by another socket: two things to fix.
fn what_another_host_sends_is_a_finding_of_its_own() {
    scenario("32 apart", &[], |bench: &Bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 10");
        let mut receiver =
            bench.sender("--wait-stdin udp --bind 10.0.0.1:5000 --to 10.0.0.2:9 --count 0");
        receiver.wait_for("ready");
        let before = bench.received();
        bench
            .far_sender(&bench.chassis.outside, "udp --to 10.0.0.1:5000 --count 20")
            .finish();
        bench.wait_until_received(before, 20);
        receiver.go();
        let received = receiver.finish();
        let escape = leak("address-escape").egress("eth1").packets(10);
        let arrived = leak("ingress-escape").egress("eth1").packets(20);
        auditor
            .stop()
            .expect()
            .finding(escape.by(&sent))
            .arrived(arrived.by(&received))
            .nothing_else();
    });
}
