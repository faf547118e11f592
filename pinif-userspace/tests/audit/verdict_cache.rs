//! A verdict that was cached for one socket's packets holds for another's packets of the same class, and for no others. All
//! sockets of a test send in turn, so that a later one may get the cached verdict of the one before.

use std::fs;

use crate::bench::{Bench, CONTROL_PLANE, Need, SENDER, Sender, Sent, leak, scenario};

const NOTHING: &[Need] = &[];
const TC: &[Need] = &[Need::Program("tc")];

/// A rule that all traffic to the world breaks, if it matches.
pub fn secret(condition: &str) -> String {
    format!(
        r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "secret"
destination = "203.0.113.0/24"
{condition}
only_via = "backplane"
"#
    )
}

fn from_port(bench: &Bench, port: u16) -> Sent {
    bench.send(&format!(
        "udp --bind 0.0.0.0:{port} --to 203.0.113.9:9 --count 10"
    ))
}

#[test]
fn the_source_port_counts_where_a_rule_asks_for_it() {
    scenario("cache source-port", NOTHING, |bench| {
        let auditor = bench.audit_with(&secret("source_port = 4000"), &[]);
        from_port(bench, 5000);
        from_port(bench, 5001);
        let escaped = from_port(bench, 4000);
        from_port(bench, 5002);
        let escape = leak("policy-escape").rule("secret").egress("eth1");
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 30)
            .finding(escape.packets(10).by(&escaped))
            .nothing_else();
    });
}

#[test]
fn the_executable_counts_where_a_rule_asks_for_it() {
    scenario("cache executable", NOTHING, |bench| {
        let directory = tempfile::tempdir().expect("a directory");
        let other = directory.path().join("pinif-sender");
        fs::copy(*SENDER, &other).expect("a copy of the sender");
        let policy = secret(&format!("executable = {:?}", other.display().to_string()));
        let auditor = bench.audit_with(&policy, &[]);
        let contained = "udp --to 203.0.113.9:9 --count 10";
        bench.send(contained);
        let escaped =
            Sender::start_as(&other, bench.card(), Some(bench.cgroup_path()), contained).finish();
        bench.send(contained);
        let escape = leak("policy-escape").rule("secret").egress("eth1");
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 20)
            .finding(escape.packets(10).by(&escaped))
            .nothing_else();
    });
}

#[test]
fn the_destination_counts_where_a_rule_can_be_broken() {
    scenario("cache destination", NOTHING, |bench| {
        let auditor = bench.audit_with(&secret("port = 99"), &[]);
        let send = |to: &str| bench.send(&format!("udp --to {to} --count 10"));
        send("203.0.113.9:9");
        let port = send("203.0.113.9:99");
        send("198.51.100.9:99");
        let address = send("203.0.113.8:99");
        send("203.0.113.9:9");
        let escape = || {
            leak("policy-escape")
                .rule("secret")
                .egress("eth1")
                .packets(10)
        };
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 30)
            .finding(escape().by(&port))
            .finding(escape().by(&address))
            .nothing_else();
    });
}

#[test]
fn the_bound_device_counts() {
    scenario("cache bound-device", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let to = "--to 10.0.0.2:9 --count 10";
        bench.send(&format!("udp --bind-device fab0 {to}"));
        bench.send(&format!("udp {to}"));
        bench.send(&format!("udp --bind-device fab0 {to}"));
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 20)
            .contained_unpinned("fab0", 10)
            .nothing_else();
    });
}

/// A packet's copy has no socket: it is recognized by its socket's endpoint, which is recorded whether the socket's verdict
/// was decided or came from the cache.
#[test]
fn copies_are_each_sockets_own() {
    scenario("cache copies", TC, |bench| {
        bench.run("tc", "qdisc add dev fab0 clsact");
        let filter = "filter add dev fab0 egress protocol ip u32 match u32 0 0 action";
        bench.run("tc", &format!("{filter} mirred egress mirror dev eth1"));
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent: Vec<_> = (0..3)
            .map(|_| bench.send("udp --connect --bind-device fab0 --to 10.0.0.2:9 --count 100"))
            .collect();
        let report = auditor.stop();
        let mut expected = report.expect().contained("fab0", "fab0", 300);
        for sent in &sent {
            let copies = leak("copy-escape").bound("fab0").egress("eth1");
            expected = expected.finding(copies.packets(100).by(sent));
        }
        expected.driver_counts_apart("fab0").nothing_else();
    });
}
