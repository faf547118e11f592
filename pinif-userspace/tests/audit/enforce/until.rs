//! Enforcing that undoes itself, is confirmed, and needs no collector.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::Signal;
use pinif_lab::patience;
use pinif_userspace::findings::line::FindingLine;

use super::{CONTAINED, ENFORCE, LEAK, Outside, attempts, kept};
use crate::bench::{Events, Need, Pinif, leak, scenario, wait_until};

const NOTHING: &[Need] = &[];
/// How often it is tried whether the kernel has detached what a killed collector attached.
const RELEASE: Duration = Duration::from_millis(20);
pub const UNDONE: &str = "not confirmed in time: nothing is dropped any more";

#[test]
fn what_is_not_confirmed_undoes_itself() {
    scenario("enforce for-undone", NOTHING, |bench| {
        // It sends from before the first program is attached: some of it while that enforces.
        let mut early = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
        early.wait_for("ready").go();
        let mut auditor = bench.audit(&["--enforce-for", "2s"]);
        assert!(auditor.ready().enforce);
        let ask = auditor.wait_for_note("leaks are dropped for 2.0 s, and then only reported");
        assert!(
            ask.contains(&format!("run kill -USR1 {}", auditor.pid())),
            "{ask}"
        );
        auditor.wait_for_note(UNDONE);
        early.go_and_finish();
        let outside = Outside::of(bench);
        let late = bench.send(&format!("{LEAK} --count 1000"));
        assert_eq!(outside.got(), 1000);
        auditor.signal(Signal::SIGUSR1);
        auditor.wait_for_note("it is too late to confirm");
        let report = auditor.stop();
        assert!(report.summary.dropped > 0, "{report}");
        let of_late = |finding: &FindingLine| {
            let mut sockets = finding.samples.sockets.samples.iter();
            let late = sockets.find(|socket| socket.socket_cookie == late.cookie)?;
            Some((late.packets, finding.dropped))
        };
        let found: Vec<_> = report.findings.iter().filter_map(of_late).collect();
        assert_eq!(found, [(1000, false)], "{report}");
    });
}

#[test]
fn what_is_confirmed_stays() {
    const TIME: Duration = Duration::from_secs(5);
    scenario("enforce for-confirmed", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let mut auditor = bench.audit(&["--enforce-for", "5s"]);
        let ready = Instant::now();
        auditor.signal(Signal::SIGUSR1);
        auditor.wait_for_note("confirmed: leaks are dropped until pinif ends");
        let early = bench.send(&format!("{LEAK} --count 1000"));
        // Time itself is what is waited for.
        wait_until("its time is over", &Events::every(TIME), || {
            ready.elapsed() > TIME
        });
        let late = bench.send(&format!("{LEAK} --count 1000"));
        auditor.signal(Signal::SIGUSR1);
        auditor.wait_for_note("there is nothing to confirm");
        let report = auditor.stop();
        outside.got_nothing();
        assert!(!report.stderr.contains(UNDONE), "{report}");
        report
            .expect()
            .finding(kept().packets(1000).by(&early))
            .finding(kept().packets(1000).by(&late))
            .nothing_else();
    });
}

#[test]
fn enter_on_a_terminal_confirms() {
    scenario("enforce for-enter", NOTHING, |bench| {
        let terminal = openpty(None, None).expect("a pseudo-terminal");
        let mut command = bench.auditor().into_command();
        command.args(["--enforce-for", "1h", "--format", "json"]);
        let mut pinif = Pinif::start_on(command, terminal.slave.into());
        pinif.wait_for_note("unless you confirm it: press Enter, or run kill -USR1 ");
        let mut keys = File::from(terminal.master);
        keys.write_all(b"\n").expect("the terminal");
        pinif.wait_for_note("confirmed: leaks are dropped until pinif ends");
        pinif.signal(Signal::SIGTERM);
        pinif.end();
    });
}

#[test]
fn a_stopped_collector_does_not_let_anything_out() {
    scenario("enforce stopped", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        auditor.signal(Signal::SIGSTOP);
        let escaped = bench.send(&format!("{LEAK} --count 5000"));
        bench.send(&format!("{CONTAINED} --count 1000"));
        outside.got_nothing();
        auditor.signal(Signal::SIGCONT);
        let report = auditor.stop();
        outside.got_nothing();
        report
            .expect()
            .finding(kept().packets(5000).by(&escaped))
            .contained("fab0", "fab0", 1000)
            .total(1000)
            .nothing_else();
    });
}

/// Whoever ends the collector ends the enforcing.
#[test]
fn a_killed_collector_drops_nothing() {
    for (name, arguments) in [
        ("enforce killed", &["--enforce"][..]),
        (
            "enforce killed-clsact",
            &["--enforce", "--attach", "clsact"],
        ),
    ] {
        scenario(name, NOTHING, |bench| {
            let outside = Outside::of(bench);
            let auditor = bench.audit(arguments);
            auditor.signal(Signal::SIGUSR1);
            bench.send(&format!("{LEAK} --count 100"));
            outside.got_nothing();
            auditor.kill();
            // The kernel detaches what it had some time later, and sends no event.
            wait_until("packets leave", &Events::every(RELEASE), || {
                bench.send(LEAK);
                outside.got() > 0
            });
        });
    }
}

/// The kernel undoes it, though no collector runs that would.
#[test]
fn it_undoes_itself_without_the_collector() {
    scenario("enforce for-stopped", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let mut auditor = bench.audit(&["--enforce-for", "2s"]);
        auditor.signal(Signal::SIGSTOP);
        let mut sender = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
        let events = Events::of_arrivals([&bench.chassis.outside]);
        sender.wait_for("ready").go();
        wait_until("packets leave", &events, || outside.got() > 0);
        let escaped = sender.go_and_finish();
        auditor.signal(Signal::SIGCONT);
        auditor.wait_for_note(UNDONE);
        let report = auditor.stop();
        let driver = report.sent_by("eth1");
        let left = driver.packets + driver.dropped;
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        let expected = report.expect().finding(escape.packets(left).by(&escaped));
        // None, where the time was over before the sender began.
        let expected = match attempts(&escaped) - left {
            0 => expected,
            dropped => expected.finding(kept().packets(dropped).by(&escaped)),
        };
        expected.total(left).nothing_else();
    });
}

#[test]
fn a_policy_that_is_read_again_does_not_move_the_deadline() {
    scenario("enforce for-reload", NOTHING, |bench| {
        let policy = tempfile::Builder::new()
            .suffix(".toml")
            .tempfile()
            .expect("a file");
        let path = policy.path().to_str().expect("UTF-8");
        // Longer where reading the policy takes longer.
        let until = format!("{}s", patience(Duration::from_secs(2)).as_secs());
        let mut auditor = bench.audit(&["--enforce-for", &until, "--policy", path]);
        auditor.signal(Signal::SIGHUP);
        auditor.wait_for_note("a new policy is in force");
        auditor.wait_for_note(UNDONE);
        auditor.signal(Signal::SIGHUP);
        auditor.wait_for_note("a new policy is in force");
        let outside = Outside::of(bench);
        let escaped = bench.send(&format!("{LEAK} --count 1000"));
        assert_eq!(outside.got(), 1000);
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        auditor
            .stop()
            .expect()
            .finding(escape.packets(1000).by(&escaped))
            .nothing_else();
    });
}
