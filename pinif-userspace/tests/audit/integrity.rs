//! Another program takes away what pinif has attached: that is found, reported with how long it lasted, and attached again. Case 28 of
//! docs/developers/scenarios.md.

use std::env;
use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use pinif_ebpf::wake::Sleeper;
use pinif_userspace::control::Client;
use pinif_userspace::control::protocol::{AttachmentCheck, CheckedBy};
use pinif_userspace::findings::line::FindingLine;

use super::held::{Held, held};
use super::persist::place::Place;
use super::sleeping::sleepers;
use crate::bench::{Auditor, Bench, Events, Finding, Need, leak, risk, scenario, wait_until};
use crate::gaps::foreign::{self, CgroupHook};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
/// `BPF_MAP_TYPE_PROG_ARRAY`.
const PROGRAM_ARRAY: &str = "3";
/// As `/proc/PID/fdinfo` has it.
const BPF_TCX_EGRESS: &str = "47";
/// The place of the program for what leaves.
const EGRESS: u32 = 0;

fn removed(interface: &str, what: &'static str) -> Finding {
    risk("unaudited").egress(interface).cause(what)
}

fn wait_for_removal(auditor: &mut Auditor<'_>, what: &str) -> FindingLine {
    auditor.wait_for_finding_that(what, |finding| finding.cause.contains(what))
}

/// The link of eth1's egress.
fn link_of_eth1(bench: &Bench, pid: Pid) -> Held {
    let index = bench.card().run(|| if_nametoindex("eth1"));
    let index = index.expect("the card is there").expect("it has eth1");
    let mut all = held(pid).into_iter();
    let link = all.find(|held| {
        held.is("link_type", "tcx")
            && held.is("ifindex", &index.to_string())
            && held.is("attach_type", BPF_TCX_EGRESS)
    });
    link.expect("the link is held")
}

/// After what was removed is attached again, all is counted as before.
fn leaks_again(bench: &Bench, auditor: Auditor<'_>, removed: impl IntoIterator<Item = Finding>) {
    let sent = bench.send(&format!("{LEAK} --count 10"));
    let report = auditor.stop();
    let escape = leak("device-escape").bound("fab0").egress("eth1");
    let expected = report.expect().finding(escape.packets(10).by(&sent));
    removed
        .into_iter()
        .fold(expected, |expected, removed| expected.finding(removed))
        .nothing_else();
}

#[test]
fn a_qdisc_that_is_removed_is_reported_and_there_again() {
    scenario("28 qdisc", &[Need::Program("tc")], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("pinif.sock");
        let setup = bench.auditor().arguments(["--attach", "clsact"]);
        let mut auditor = setup.arguments([Path::new("--socket"), &socket]).start();
        sleepers(auditor.pid()).wait_until_asleep(Sleeper::Attachments);
        let by = checked_by(&socket);
        bench.run("tc", "qdisc del dev eth1 clsact");
        let what = "removed the program at the egress of eth1";
        let finding = wait_for_removal(&mut auditor, what);
        // rtnetlink reports it; it is looked on time once a minute.
        let length = seconds_at_most(&finding);
        assert!(by == CheckedBy::Timer || length < 30.0, "{finding:?}");
        assert!(finding.cause.contains(" s at most"), "{finding:?}");
        assert!(
            finding.remedy.contains("keep it from pinif's"),
            "{finding:?}"
        );
        leaks_again(bench, auditor, [removed("eth1", what)]);
    });
}

#[test]
fn a_filter_that_another_takes_the_place_of_is_reported_and_there_again() {
    scenario("28 filter", &[Need::Program("tc")], |bench| {
        let mut auditor = bench.audit(&["--attach", "clsact"]);
        let handle = auditor.pid().as_raw();
        bench.run(
            "tc",
            &format!("filter del dev eth1 egress pref 1 handle {handle:#x} bpf"),
        );
        let what = "removed the program at the egress of eth1";
        wait_for_removal(&mut auditor, what);
        leaks_again(bench, auditor, [removed("eth1", what)]);
    });
}

#[test]
fn a_link_that_is_detached_is_reported_and_there_again() {
    scenario("28 link", &[Need::Tcx], |bench| {
        let mut auditor = bench.audit(&[]);
        link_of_eth1(bench, auditor.pid()).detach();
        let what = "removed the program at the egress of eth1";
        wait_for_removal(&mut auditor, what);
        leaks_again(bench, auditor, [removed("eth1", what)]);
    });
}

/// What an auditor that listens there says of its look at what is attached.
fn attachment_check(socket: &Path) -> AttachmentCheck {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let status = runtime.expect("a runtime").block_on(async {
        let mut client = Client::find(Some(socket))?;
        client.status().await
    });
    status.expect("an answer").attachment_check
}

/// What makes an auditor look that listens there: what changes, as long as the kernel takes programs that trace.
#[track_caller]
fn checked_by(socket: &Path) -> CheckedBy {
    let AttachmentCheck { by, because } = attachment_check(socket);
    assert_eq!(by == CheckedBy::Event, because.is_empty());
    // A machine that boots a kernel for these tests refuses none; another may, and says no more than that.
    let refused = "the kernel lets no program be attached to its function ";
    assert!(
        env::var_os("PINIF_OWN_MACHINE").is_none() || by == CheckedBy::Event,
        "{because:?}"
    );
    assert!(
        because.iter().all(|reason| reason.starts_with(refused)),
        "{because:?}"
    );
    by
}

/// How long what was removed was not there, as its finding says.
#[track_caller]
fn seconds_at_most(finding: &FindingLine) -> f64 {
    let before = finding.cause.split(" s at most").next();
    let number = before.and_then(|before| before.rsplit(' ').next());
    let number = number.and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("{finding:?}"))
}

#[test]
fn who_detaches_a_link_wakes_it_where_that_is_said() {
    scenario("28 wakes", &[Need::Tcx], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("pinif.sock");
        let setup = bench.auditor();
        let mut auditor = setup.arguments([Path::new("--socket"), &socket]).start();
        let sleepers = sleepers(auditor.pid());
        sleepers.wait_until_asleep(Sleeper::Attachments);
        let is_woken = checked_by(&socket) == CheckedBy::Event;
        // So that it does not sleep again before that is looked at.
        auditor.signal(Signal::SIGSTOP);
        link_of_eth1(bench, auditor.pid()).detach();
        let sleeps = sleepers.sleeps(Sleeper::Attachments);
        assert_eq!(sleeps, !is_woken);
        auditor.signal(Signal::SIGCONT);
        let what = "removed the program at the egress of eth1";
        wait_for_removal(&mut auditor, what);
        leaks_again(bench, auditor, [removed("eth1", what)]);
    });
}

/// How long until a process's timer goes off (timerfd_create(2), proc_pid_fdinfo(5)).
fn timer_of(pid: Pid) -> Duration {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it is there");
    let rest = |text: &str| {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix("it_value: "))?;
        let (seconds, nanos) = value.trim_matches(['(', ')']).split_once(", ")?;
        Some(Duration::new(seconds.parse().ok()?, nanos.parse().ok()?))
    };
    let texts = descriptors.flatten();
    let texts = texts.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let all: Vec<Duration> = texts.filter_map(|text| rest(&text)).collect();
    assert_eq!(all.len(), 1, "it has one timer");
    all[0]
}

#[test]
fn nothing_is_done_on_time_for_a_minute_where_changes_are_reported_and_nobody_reads() {
    scenario("28 timer", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("pinif.sock");
        let setup = bench.auditor();
        let auditor = setup.arguments([Path::new("--socket"), &socket]).start();
        let pid = auditor.pid();
        let sleepers = sleepers(pid);
        sleepers.wait_until_asleep(Sleeper::Attachments);
        sleepers.wait_until_asleep(Sleeper::Counters);
        let is_woken = checked_by(&socket) == CheckedBy::Event;
        let until = |what: &str, is: &dyn Fn(Duration) -> bool| {
            let events = Events::every(Duration::from_millis(100));
            wait_until(what, &events, || is(timer_of(pid)));
        };
        // It was set to a minute, or is set to two seconds each time.
        let is_unread = |rest: Duration| (rest > Duration::from_secs(3)) == is_woken;
        until("it looks seldom", &is_unread);
        let mut reader = UnixStream::connect(&socket).expect("it listens");
        let request = b"GET /v1/events?snapshots=true HTTP/1.1\r\nHost: pinif\r\n\r\n";
        reader.write_all(request).expect("it is taken");
        until("who wants each state has it each second", &|rest| {
            !rest.is_zero() && rest <= Duration::from_secs(1)
        });
        drop(reader);
        until("it looks seldom again", &is_unread);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn what_is_removed_again_is_the_same_finding() {
    scenario("28 again", &[Need::Tcx], |bench| {
        let mut auditor = bench.audit(&[]);
        let mut last_seen = String::new();
        for times in [
            "eth1; it was",
            "eth1 2 times; it was",
            "eth1 3 times; it was",
        ] {
            link_of_eth1(bench, auditor.pid()).detach();
            let finding = wait_for_removal(&mut auditor, times);
            assert!(finding.last_seen > last_seen, "{finding:?}");
            last_seen = finding.last_seen;
        }
        leaks_again(bench, auditor, [removed("eth1", "eth1 3 times")]);
    });
}

#[test]
fn hooks_that_are_detached_are_reported_and_there_again() {
    scenario("28 hooks", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        let all = held(auditor.pid());
        let links: Vec<_> = all
            .iter()
            .filter(|held| held.is("link_type", "cgroup"))
            .collect();
        assert_eq!(links.len(), 9, "all hooks are held");
        links.iter().for_each(|link| link.detach());
        let what = "removed the hooks of the cgroup";
        wait_for_removal(&mut auditor, what);
        // The finding names the process: the hooks saw its socket.
        leaks_again(bench, auditor, [removed("*", what)]);
    });
}

/// One that the kernel refuses keeps none of the others away.
#[test]
fn hooks_are_there_again_beside_one_that_is_refused() {
    scenario("28 hook-refused", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        let pid = auditor.pid();
        let hooks = |is_attached: bool| {
            let links = held(pid).into_iter();
            links
                .filter(|held| held.is("link_type", "cgroup"))
                .filter(|held| held.is("cgroup_id", "0") != is_attached)
                .collect::<Vec<_>>()
        };
        let before = hooks(true).len();
        // So that it sees both at once.
        auditor.signal(Signal::SIGSTOP);
        hooks(true).iter().for_each(Held::detach);
        foreign::alone_on(bench.cgroup_path(), CgroupHook::SocketCreate);
        auditor.signal(Signal::SIGCONT);
        let what = "removed the hooks of the cgroup";
        let finding = wait_for_removal(&mut auditor, what);
        assert!(finding.cause.contains("pinif_create"), "{finding:?}");
        assert_eq!((hooks(true).len(), hooks(false).len()), (before - 1, 1));
        leaks_again(bench, auditor, [removed("*", what)]);
    });
}

#[test]
fn a_table_that_is_emptied_is_reported_and_filled_again() {
    scenario("28 table", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        empty_table(auditor.pid());
        let what = "removed the egress program of all interfaces";
        wait_for_removal(&mut auditor, what);
        leaks_again(bench, auditor, [removed("*", what)]);
    });
}

/// Takes the traffic program for what leaves out of the auditor's table.
fn empty_table(pid: Pid) {
    let all = held(pid);
    let mut tables = all.iter().filter(|held| held.is("map_type", PROGRAM_ARRAY));
    let removed = tables.find(|table| table.remove(EGRESS).is_ok());
    assert!(removed.is_some(), "the table is held");
}

#[test]
fn pins_that_are_removed_are_reported_and_there_again() {
    scenario("28 pins", &[Need::Tcx], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        let (links, files) = (place.links(), place.files());
        for file in &files {
            fs::remove_file(file).expect("it is pinned");
        }
        for what in [
            "removed the program at the egress of eth1",
            "removed the hooks of the cgroup",
            "removed pinned maps",
        ] {
            wait_for_removal(&mut auditor, what);
        }
        assert_eq!((place.links(), place.files()), (links, files));
        let sent = bench.send(&format!("{LEAK} --count 10"));
        let began = auditor.kill();
        let report = place.audit(bench, &[]).since(&began).stop();
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape.packets(10).by(&sent))
            .nothing_else();
    });
}

#[test]
fn there_is_a_summary_whatever_was_taken_away() {
    scenario("28 summary", &[Need::Tcx], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{LEAK} --count 10"));
        let pid = auditor.pid();
        for link in held(pid) {
            if link.is("link_type", "tcx") || link.is("link_type", "cgroup") {
                link.detach();
            }
        }
        empty_table(pid);
        let report = auditor.stop();
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        let expected = report.expect().finding(escape.packets(10).by(&sent));
        ["lo", "fab0", "eth1"]
            .iter()
            .fold(expected, |expected, link| {
                expected.finding(removed(link, "removed the program at the egress of"))
            })
            .finding(removed("*", "removed the hooks of the cgroup"))
            .finding(removed("*", "removed the egress program of all interfaces"))
            .exit(2)
            .nothing_else();
    });
}
