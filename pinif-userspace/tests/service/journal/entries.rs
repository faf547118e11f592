//! Entries of findings: one a transition, with these fields.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixDatagram},
    path::Path,
};

use nix::sys::signal::Signal;
use pinif_ebpf::verdict::Kind;
use pinif_userspace::{surfaces::journal::message_id, text::escape::is_hazardous};

use super::listener::{Fields, Listener};
use crate::bench::{SENDER, Sender, Setup, leak, scenario};
use crate::output::examples;

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";

/// What is new, the state, the priority and the packets.
fn in_short(fields: &Fields) -> [&str; 4] {
    [
        "PINIF_TRANSITION",
        "PINIF_STATE",
        "PRIORITY",
        "PINIF_PACKETS",
    ]
    .map(|name| &*fields[name])
}

/// With a policy's file, which is the caller's.
fn with_policy<'a>(setup: Setup<'a>, policy: &Path) -> Setup<'a> {
    setup.arguments(["--policy".as_ref(), policy.as_os_str()])
}

#[test]
fn a_transition_is_one_entry_with_its_fields() {
    scenario("journal entries", &[], |bench| {
        let journal = Listener::new();
        let setup = bench.auditor().arguments(["--quiet-after", "2s"]);
        let labels = ["--label", "chassis=c1", "--label", "slot=7\n"];
        let setup = setup.arguments(labels).arguments([journal.option()]);
        let pinif = setup.start_in_journal();
        // Its executable is known while it is there.
        let mut sender = bench.sender(&format!("{LEAK} --count 10 --pause-after 1"));
        sender.wait_for("paused");
        let opened = journal.next();
        assert_eq!(in_short(&opened), ["opened", "open", "2", "1"]);
        let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let machine = Some(machine.trim_end()).filter(|id| id.len() == 32);
        assert_eq!(opened.get("PINIF_HOST").map(|host| &**host), machine);
        // Not every machine has an id.
        let names = opened.keys().map(|name| &**name);
        let names: BTreeSet<_> = names.filter(|name| *name != "PINIF_HOST").collect();
        let expected = [
            "MESSAGE",
            "MESSAGE_ID",
            "PINIF_BOUND",
            "PINIF_BYTES",
            "PINIF_CAUSE",
            "PINIF_EGRESS",
            "PINIF_EXECUTABLE",
            "PINIF_FIX",
            "PINIF_ID",
            "PINIF_KIND",
            "PINIF_LABEL_CHASSIS",
            "PINIF_LABEL_SLOT",
            "PINIF_NETNS",
            "PINIF_PACKETS",
            "PINIF_PID",
            "PINIF_PROCESS",
            "PINIF_REVISION",
            "PINIF_SEVERITY",
            "PINIF_STATE",
            "PINIF_TRANSITION",
            "PINIF_UID",
            "PRIORITY",
            "SYSLOG_IDENTIFIER",
        ];
        assert_eq!(names, BTreeSet::from(expected));
        let documented = examples::read("docs/journal.md");
        for name in names {
            assert!(documented.contains(&format!("`{name}`")), "{name}");
        }
        for (name, value) in [
            ("MESSAGE_ID", message_id(Kind::DeviceEscape)),
            ("PINIF_BOUND", "fab0"),
            ("PINIF_CAUSE", "IP_PKTINFO override"),
            ("PINIF_EGRESS", "eth1"),
            ("PINIF_KIND", "device-escape"),
            ("PINIF_LABEL_CHASSIS", "c1"),
            ("PINIF_LABEL_SLOT", r"7\n"),
            ("PINIF_NETNS", bench.card().name()),
            ("PINIF_PID", &*sender.pid().to_string()),
            ("PINIF_PROCESS", "pinif-sender"),
            ("PINIF_SEVERITY", "leak"),
            ("SYSLOG_IDENTIFIER", "pinif"),
        ] {
            assert_eq!(opened[name], value, "{name}");
        }
        let (id, uid) = (&opened["PINIF_ID"], &opened["PINIF_UID"]);
        assert!(uid.ends_with(&format!("/{id}")), "{uid}");
        let message = format!(
            "leak device-escape: pinif-sender (pid {}), bound to fab0: UDP to 10.0.0.2:9 left via eth1 in {}. Cause: {}. Fix: {}. \
             Finding {id}.",
            sender.pid(),
            bench.card().name(),
            opened["PINIF_CAUSE"],
            opened["PINIF_FIX"]
        );
        assert_eq!(opened["MESSAGE"], message);

        let mut entries = vec![opened];
        sender.go_and_finish();
        for _ in ["grown", "quiet"] {
            entries.push(journal.next());
        }
        bench.send(&format!("{LEAK} --count 1"));
        for _ in ["reopened", "quiet"] {
            entries.push(journal.next());
        }
        let transitions: Vec<_> = entries.iter().map(in_short).collect();
        assert_eq!(
            transitions,
            [
                ["opened", "open", "2", "1"],
                ["grown", "open", "2", "10"],
                ["quiet", "quiet", "6", "10"],
                ["reopened", "open", "2", "11"],
                ["quiet", "quiet", "6", "11"],
            ]
        );
        let revisions = entries.iter().map(|entry| &entry["PINIF_REVISION"]);
        let revisions: Vec<u64> = revisions
            .map(|text| text.parse().expect("a number"))
            .collect();
        assert!(
            revisions.is_sorted_by(|one, next| one < next),
            "{revisions:?}"
        );
        for entry in &entries {
            let name = |fields: &Fields| fields.keys().cloned().collect::<Vec<_>>();
            assert_eq!(name(entry), name(&entries[0]));
            assert_eq!(entry["PINIF_UID"], entries[0]["PINIF_UID"]);
        }
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(journal.rest(), Vec::<Fields>::new());
        // All else is on the stream that the journal reads, and none of it twice.
        assert!(
            ended.stderr.iter().all(|line| line.starts_with("<6>")),
            "{ended:#?}"
        );
        assert_eq!(ended.status.code(), Some(2));
        assert!(ended.stdout.is_empty(), "{ended:#?}");
    });
}

#[test]
fn what_is_accepted_and_expires_is_an_entry() {
    scenario("journal entries-accepted", &[], |bench| {
        let journal = Listener::new();
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("policy.toml");
        let write = |until: &str| {
            let text = format!(
                "[[accept]]\nkind = \"device-escape\"\nreason = \"known: TICKET-7\"\nuntil = {until}\n"
            );
            fs::write(&policy, text).expect("it is ours");
        };
        fs::write(&policy, "").expect("it is ours");
        let setup = with_policy(bench.auditor(), &policy);
        let pinif = setup.arguments([journal.option()]).start_in_journal();
        bench.send(&format!("{LEAK} --count 1"));
        let mut entries = vec![journal.next()];
        write("2100-12-31");
        entries.push(journal.next());
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
        write(&format!("\"{until:.3}\""));
        entries.push(journal.next());
        fs::write(&policy, "").expect("it is ours");
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        let transitions: Vec<_> = entries.iter().map(in_short).collect();
        assert_eq!(
            transitions,
            [
                ["opened", "open", "2", "1"],
                ["accepted", "accepted", "6", "1"],
                ["expired", "open", "2", "1"],
            ]
        );
        let accepted = &entries[1]["MESSAGE"];
        assert!(
            accepted.contains("accepted until 2100-12-31: known: TICKET-7"),
            "{accepted}"
        );
    });
}

#[test]
fn entries_are_written_beside_json_where_the_journal_is_named() {
    scenario("journal entries-beside", &[], |bench| {
        let journal = Listener::new();
        let setup = bench.auditor().arguments([journal.option()]);
        let mut auditor = setup.start();
        let sent = bench.send(&format!("{LEAK} --count 1"));
        let line = auditor.wait_for_finding("device-escape");
        let entry = journal.next();
        assert_eq!(entry["PINIF_ID"], line.id);
        assert_eq!(Some(&entry["PINIF_UID"]), line.uid.as_ref());
        let report = auditor.stop();
        assert_eq!(journal.rest(), Vec::<Fields>::new());
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape.packets(1).by(&sent))
            .nothing_else();
    });
}

#[test]
fn a_journal_that_is_named_and_not_there_is_reported_and_ends_nothing() {
    scenario("journal entries-absent", &[], |bench| {
        let setup = bench
            .auditor()
            .arguments(["--journal=/nonexistent/journal"]);
        let mut auditor = setup.start();
        let note = auditor.wait_for_note("the journal has failed");
        assert_eq!(
            note,
            "error: the journal has failed, and the audit goes on without it: no journal takes entries at /nonexistent/journal (No such \
             file or directory (os error 2)); name its socket with --journal=SOCKET"
        );
        let sent = bench.send(&format!("{LEAK} --count 1"));
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        let report = auditor.stop();
        report
            .expect()
            .finding(escape.packets(1).by(&sent))
            .nothing_else();
    });
}

#[test]
fn a_journal_that_reads_nothing_holds_nobody_up() {
    scenario("journal entries-full", &[], |bench| {
        let journal = Listener::new();
        let other = UnixDatagram::unbound().expect("a socket");
        other.set_nonblocking(true).expect("a socket");
        // As an earlier entry of another program.
        let field = b"MESSAGE\n\x01\0\0\0\0\0\0\0x\n";
        let mut waiting = 0;
        while other.send_to(field, journal.path()).is_ok() {
            waiting += 1;
        }
        let arguments = ["--fail-on", "never", &journal.option()];
        let mut auditor = bench.auditor().arguments(arguments).start();
        let sent = bench.send(&format!("{LEAK} --count 1"));
        // The collector goes on, while the journal's thread waits.
        auditor.wait_for_finding_that("its packet", |finding| finding.packets == 1);
        let warning = auditor.wait_for_note("the journal takes no entries");
        assert_eq!(
            warning,
            "warning: the journal takes no entries: it does not read, and its queue is full; those of findings are lost and counted until it does, and the audit goes on"
        );
        assert_eq!(journal.rest().len(), waiting);
        let more = bench.send(&format!("{LEAK} --count 9"));
        let gap = journal.next();
        assert_eq!(
            (&*gap["MESSAGE"], &*gap["PRIORITY"], gap.len()),
            ("1 entry of findings could not be written here", "4", 3)
        );
        assert_eq!(in_short(&journal.next()), ["grown", "open", "2", "10"]);
        let report = auditor.stop();
        let escape = || leak("device-escape").bound("fab0").egress("eth1");
        let expected = report
            .expect()
            .finding(escape().packets(1).by(&sent))
            .finding(escape().packets(9).by(&more));
        // What no surface could show makes the audit incomplete.
        expected.exit(3).nothing_else();
        assert_eq!(journal.rest(), Vec::<Fields>::new());
    });
}

#[test]
fn no_name_forges_a_field() {
    scenario("journal entries-hostile", &[], |bench| {
        let journal = Listener::new();
        let folder = tempfile::tempdir().expect("a folder");
        // A process's name, of at most 15 bytes: not UTF-8, a field of its own, and a bidirectional override.
        let name = OsStr::from_bytes(b"\xff\nPRIORITY=0\xe2\x80\xae");
        assert_eq!(name.len(), 15);
        let path = folder.path().join(name);
        symlink(*SENDER, &path).expect("a link");
        let setup = bench.auditor().arguments([journal.option()]);
        let pinif = setup.start_in_journal();
        let cgroup = bench.cgroup_path();
        let sender = Sender::start_as(&path, bench.card(), Some(cgroup), LEAK);
        sender.finish();
        let entry = journal.next();
        assert_eq!(entry["PRIORITY"], "2");
        assert_eq!(entry["PINIF_PROCESS"], "\u{fffd}\\nPRIORITY=0\\u{202e}");
        let message = &entry["MESSAGE"];
        assert!(
            message.starts_with("leak device-escape: \u{fffd}\\nPRIORITY=0\\u{202e} (pid "),
            "{message}"
        );
        for (field, value) in &entry {
            assert!(!value.contains(is_hazardous), "{field}: {value:?}");
        }
        pinif.signal(Signal::SIGTERM);
        pinif.end();
    });
}
