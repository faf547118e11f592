//! The host changes, the time is over, the collector ends: what comes in then.

use std::time::Duration;

use nix::sys::signal::Signal;
use pinif_lab::patience;

use super::{NOTHING, Receiver, kept_out, ours, send, wait_until_dropped};
use crate::bench::{CONTROL_PLANE, leak, scenario};
use crate::enforce::{rules::File, until::UNDONE};
use crate::persist::place::Place;

const REACHED: &str = "udp --to 10.0.0.1:5000";

#[test]
fn an_address_that_has_moved_is_reached_at_once() {
    scenario("enforce arrival-moved", NOTHING, |bench| {
        let card = bench.card();
        let moves = "10.0.0.50/32".parse().expect("an address");
        card.add_address("fab0", moves).expect("fab0");
        let receiver = Receiver::of(bench, "0.0.0.0:5000");
        let outside = &bench.chassis.outside;
        let mut auditor = bench.audit_with(CONTROL_PLANE, &["--enforce"]);
        send(bench, outside, "udp --to 10.0.0.50:5000 --count 30");
        wait_until_dropped(&mut auditor, &[30]);
        // The auditor learns of it later, and the kernel is asked.
        auditor.signal(Signal::SIGSTOP);
        card.delete_address("fab0", moves).expect("fab0");
        card.add_address("eth1", moves).expect("eth1");
        send(bench, outside, "udp --to 10.0.0.50:5000 --count 50");
        receiver.gets(50);
        auditor.signal(Signal::SIGCONT);
        auditor
            .stop()
            .expect()
            .finding(kept_out().packets(30))
            .nothing_else();
    });
}

#[test]
fn it_comes_in_when_the_time_is_over() {
    scenario("enforce arrival-for", NOTHING, |bench| {
        let receiver = Receiver::of(bench, "10.0.0.1:5000");
        let outside = &bench.chassis.outside;
        let time = format!("{}s", patience(Duration::from_secs(2)).as_secs());
        let mut auditor = bench.audit_with(CONTROL_PLANE, &["--enforce-for", &time]);
        send(bench, outside, &format!("{REACHED} --count 30"));
        wait_until_dropped(&mut auditor, &[30]);
        auditor.wait_for_note(UNDONE);
        send(bench, outside, &format!("{REACHED} --count 50"));
        receiver.gets(50);
        let came_in = ours(leak("ingress-escape").egress("eth1"));
        auditor
            .stop()
            .expect()
            .finding(kept_out().packets(30))
            .arrived(came_in.packets(50))
            .nothing_else();
    });
}

#[test]
fn nothing_comes_in_between_two_collectors() {
    scenario("enforce arrival-persist", NOTHING, |bench| {
        let place = Place::new();
        let receiver = Receiver::of(bench, "10.0.0.1:5000");
        let outside = &bench.chassis.outside;
        let policy = File::new(CONTROL_PLANE);
        let path = policy.path();
        let arguments = ["--enforce", "--policy", path.to_str().expect("UTF-8")];
        let before = bench.received();
        let began = place.audit(bench, &arguments).kill();
        send(bench, outside, &format!("{REACHED} --count 500"));
        let second = place.audit(bench, &arguments).since(&began);
        send(bench, outside, &format!("{REACHED} --count 70"));
        bench.settle();
        let report = second.stop();
        assert_eq!((bench.received(), receiver.got()), (before, 0), "{report}");
        report
            .expect()
            .finding(kept_out().packets(570))
            .nothing_else();
    });
}
