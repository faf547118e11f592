//! The remedies of subflows, carried out as they were printed.

use super::{MANY, MPTCP, announced, connect, endpoint, stays};
use crate::bench::carry::on_card;
use crate::bench::{Bench, scenario};

/// A connection whose subflow leaves by `egress`; and one after its remedy, which begins so.
fn ended(name: &str, prepare: impl Fn(&Bench), bytes: u64, egress: &'static str, text: &str) {
    scenario(name, &MPTCP, |bench| {
        prepare(bench);
        let auditor = bench.audit(&[]);
        let before = bench.card().sent(egress).expect("it is there").packets;
        connect(bench, bytes, || bench.wait_until_sent(egress, before + 1));
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(finding.kind.name(), "device-escape", "{report}");
        let [step] = &finding.remedies[..] else {
            panic!("one remedy\n{report}");
        };
        let is = on_card(finding, &step.text);
        assert!(is.starts_with(text), "{step:#?}");
        let [line] = &step.commands[..] else {
            panic!("one command\n{report}");
        };
        bench.shell(line);
        let auditor = bench.audit(&[]);
        connect(bench, bytes, || ());
        stays(&auditor.stop());
    });
}

#[test]
fn an_endpoint_is_deleted_by_its_number() {
    ended(
        "30 subflow-endpoint",
        endpoint,
        1000,
        "eth1",
        "delete the endpoint with `dev eth1`, or let it name fab0 (`ip mptcp endpoint delete id ",
    );
}

#[test]
fn announced_addresses_are_not_taken() {
    ended(
        "30 subflow-announced",
        |bench| announced(bench, 2),
        MANY,
        "eth2",
        "let the path manager take no address of a peer (`ip mptcp limits set add_addr_accepted 0`)",
    );
}
