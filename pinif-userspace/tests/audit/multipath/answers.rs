//! What answers a subflow, until both its ends are closed.

use pinif_userspace::findings::line::Subject;
use procfs::net::TcpState;

use super::{MPTCP, connect, escape, second_link, set};
use crate::bench::{Bench, CONTROL_PLANE, Events, connections, leak, scenario, wait_until};

/// Waits until both ends of the connection have so many subflows.
fn wait_for_subflows(bench: &Bench, number: usize) {
    let ends = [bench.card(), &bench.chassis.peer];
    // Each has some by packets that arrive.
    wait_until("the subflows are there", &Events::of_arrivals(ends), || {
        ends.into_iter().all(|end| {
            let all = connections(end).into_iter();
            let established = all.filter(|entry| entry.state == TcpState::Established);
            established.count() == number
        })
    });
}

/// The last answer arrives for what is left of the subflow in TIME_WAIT, which is bound as the subflow was.
#[test]
fn the_last_answer_is_of_the_same_finding() {
    scenario("18 subflow-answers", &MPTCP, |bench| {
        second_link(bench);
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        let mac = peer.mac("eth2").expect("an address");
        let server = "10.0.0.2".parse().expect("an address");
        card.add_neighbour("eth2", server, &mac)
            .expect("a neighbour");
        set(card, "limits set subflow 1");
        set(card, "endpoint add 198.51.100.1 dev eth2 subflow");
        set(peer, "limits set subflow 1");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let answered = peer.sent("eth2").expect("eth2").packets;
        let sent = connect(bench, 1000, || wait_for_subflows(bench, 2));
        let report = auditor.stop();
        let answered = peer.sent("eth2").expect("eth2").packets - answered;
        let (fab0, eth2) = (report.sent_by("fab0"), report.sent_by("eth2"));
        let answer = leak("ingress-escape")
            .rule("control-plane")
            .bound("eth2")
            .egress("eth2")
            .packets(answered)
            .source("10.0.0.2:7000");
        // Before Linux 6.13, a socket of the kernel's acknowledges for what is in TIME_WAIT, bound as that is.
        let related = report.findings.iter().flat_map(|found| &found.related);
        let by_kernel = related.filter(|one| matches!(one.subject, Some(Subject::Kernel { .. })));
        let last: u64 = by_kernel.map(|one| one.packets).sum();
        assert!(last <= 1, "{report}");
        let mut escape = escape(&sent)
            .destination("10.0.0.2:7000")
            .egress("eth2")
            .packets(eth2.packets - last)
            .with(answer);
        if last > 0 {
            let own = leak("policy-escape").rule("control-plane").bound("eth2");
            escape = escape.with(own.egress("eth2").packets(last));
        }
        report
            .expect()
            .contained("fab0", "fab0", fab0.packets)
            .finding(escape)
            .nothing_else();
    });
}
