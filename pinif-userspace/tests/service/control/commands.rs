//! `pinif status`, `findings`, `matrix` and `explain` against a running auditor.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    process::{Command, Output},
};

use nix::sys::signal::Signal;
use pinif_userspace::schema;

use super::asked::{LEAK, Place};
use crate::bench::{Pinif, scenario, valid};

fn ask(place: &Place, arguments: &str) -> Output {
    place.pinif(arguments).output().expect("pinif runs")
}

/// What `pinif findings` prints where there is none.
const NONE: &str =
    "no finding\n\nNext: `pinif status` says what is audited, and what is not seen.\n";

/// What it prints, where it succeeds.
fn text(place: &Place, arguments: &str) -> String {
    let output = ask(place, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {text}{errors}");
    text
}

#[test]
fn the_exit_status_is_for_monitoring() {
    scenario("control exit status", &[], |bench| {
        let place = Place::new();
        let code = |arguments: &str| ask(&place, arguments).status.code();
        let nobody = ask(&place, "status");
        assert_eq!(nobody.status.code(), Some(1));
        let message = String::from_utf8_lossy(&nobody.stderr).into_owned();
        assert!(message.contains("no auditor listens at"), "{message}");

        let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
        let policy = "[zone.front]\ninterfaces = [\"eth*\"]\n";
        fs::write(file.path(), policy).expect("it is written");
        let path = file.path().to_str().expect("a path");
        let mut auditor = place.audit(bench, &["--policy", path]);
        assert_eq!(code("status"), Some(0));
        fs::write(file.path(), "zone = 1").expect("it is written");
        auditor.wait_for_note("the changed policy is wrong");
        // The state of a second ago may be given, and no older one.
        while code("status") != Some(3) {}
        bench.send(&format!("{LEAK} --count 5"));
        auditor.wait_for_finding("device-escape");
        while code("status") != Some(2) {}
        assert_eq!(code("status --fail-on never"), Some(3));
        fs::write(file.path(), policy).expect("it is written");
        auditor.wait_for_note("a new policy is in force");
        while code("status --fail-on never") != Some(0) {}

        let shown = String::from_utf8_lossy(&ask(&place, "status").stdout).into_owned();
        let (card, interfaces) = (bench.card().name(), auditor.ready().interfaces.len());
        for words in [
            format!("audits     {interfaces} interfaces of {card}, by "),
            format!("policy     {path}: 1 zone, 0 rules, in force since "),
            "findings   1 leak\n".to_owned(),
            "leak     device-escape  eth1             5".to_owned(),
            "` says what the gravest of them means, and how to fix it.\n".to_owned(),
        ] {
            assert!(shown.contains(&words), "{words:?} in:\n{shown}");
        }
        let json = ask(&place, "status --format json").stdout;
        let status = valid(&String::from_utf8_lossy(&json), schema::status);
        assert_eq!(status["worst"][0]["packets"], 5);
        auditor.stop();
    });
}

/// The exit status and the line of a check, as docs/alert.md has it.
fn check(place: &Place, arguments: &str) -> (Option<i32>, String) {
    let output = ask(place, &format!("status --format nagios {arguments}"));
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(line.lines().count(), 1, "{line}");
    (output.status.code(), line)
}

#[test]
fn a_check_has_the_numbers_of_nagios() {
    scenario("control nagios", &[], |bench| {
        let place = Place::new();
        let (code, line) = check(&place, "");
        assert_eq!(code, Some(2), "{line}");
        let words = "PINIF CRITICAL - no auditor listens at ";
        assert!(line.starts_with(words), "{line}");

        let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
        let policy = "[zone.front]\ninterfaces = [\"eth*\"]\n";
        fs::write(file.path(), policy).expect("it is written");
        let path = file.path().to_str().expect("a path");
        let mut auditor = place.audit(bench, &["--policy", path]);
        let interfaces = auditor.ready().interfaces.len();
        let none = format!("accepted=0 interfaces={interfaces} refused=0 dropped=0c lost=0c\n");
        let ok = format!("PINIF OK - no finding | leaks=0 risks=0 notes=0 {none}");
        assert_eq!(check(&place, ""), (Some(0), ok));

        // The state of a second ago may be given, and no older one.
        let wait_for = |code, arguments: &str| {
            loop {
                let (now, line) = check(&place, arguments);
                if now == Some(code) {
                    return line;
                }
            }
        };
        let risk = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 3");
        auditor.wait_for_finding("address-escape");
        let sender = |pid: u32, bound: &str| format!("pinif-sender (pid {pid}), {bound}");
        let by = sender(risk.pid, "unpinned");
        assert_eq!(
            wait_for(1, ""),
            format!(
                "PINIF WARNING - 1 risk; address-escape via eth1 by {by} | leaks=0 risks=1 notes=0 {none}"
            )
        );
        fs::write(file.path(), "zone = 1").expect("it is written");
        auditor.wait_for_note("the changed policy is wrong");
        assert_eq!(
            wait_for(3, ""),
            format!(
                "PINIF UNKNOWN - 1 risk; address-escape via eth1 by {by}; the newest policy is not in force | leaks=0 risks=1 notes=0 \
                 {none}"
            )
        );
        fs::write(file.path(), policy).expect("it is written");
        auditor.wait_for_note("a new policy is in force");
        let leak = bench.send(&format!("{LEAK} --count 5"));
        auditor.wait_for_finding("device-escape");
        let by = sender(leak.pid, "bound to fab0");
        assert_eq!(
            wait_for(2, ""),
            format!(
                "PINIF CRITICAL - 1 leak, 1 risk; device-escape via eth1 by {by} | leaks=1 risks=1 notes=0 {none}"
            )
        );
        assert_eq!(check(&place, "--fail-on never").0, Some(1));
        auditor.stop();
    });
}

#[test]
fn only_root_and_the_group_may_ask() {
    scenario("control group", &[], |bench| {
        const GROUP: u32 = 64_242;
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let folder = place.path().parent().expect("a folder");
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
        chown(place.path(), None, Some(GROUP)).expect("it is ours");
        // Whoever cannot reach the binary where it is built has a copy of it.
        let copy = folder.join("pinif");
        fs::copy(env!("CARGO_BIN_EXE_pinif"), &copy).expect("it is there");
        let of = |group: u32| {
            let mut command = Command::new(&copy);
            command.args(["status", "--socket"]).arg(place.path());
            // In this order: who has no user any more may not change groups.
            command.uid(65_534).gid(group).output().expect("pinif runs")
        };
        let member = of(GROUP);
        assert_eq!(member.status.code(), Some(0), "{member:?}");
        let other = of(65_534);
        assert_eq!(other.status.code(), Some(1));
        let message = String::from_utf8_lossy(&other.stderr).into_owned();
        assert!(
            message.contains("may not be opened; ask as root, or join its group"),
            "{message}"
        );
        fs::remove_file(copy).expect("it is there");
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn findings_are_shown_in_each_form_and_explained() {
    scenario("control forms", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        assert_eq!(text(&place, "findings"), NONE);
        assert_eq!(text(&place, "findings --format json"), "");
        assert_eq!(text(&place, "findings --format csv").lines().count(), 1);
        let sent = bench.send(&format!("{LEAK} --count 12"));
        bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 2");
        let leak = auditor.wait_for_finding("device-escape");
        auditor.wait_for_finding("address-escape");

        let table = text(&place, "findings");
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows.len(), 5, "{table}");
        assert_eq!(
            rows[1][..7],
            [
                "leak",
                "device-escape",
                "eth1",
                "12",
                rows[1][4],
                &*leak.id,
                "open"
            ]
        );
        assert_eq!(rows[2][..4], ["risk", "address-escape", "eth1", "2"]);
        assert_eq!(text(&place, "findings --severity risk").lines().count(), 4);
        let next = format!("\nNext: `pinif explain {}` says what", leak.id);
        assert!(
            text(&place, "findings --limit 1").contains(&format!("and 1 more: --limit\n{next}"))
        );

        let json = text(&place, "findings --format json --kind device-escape");
        let line = valid(json.trim_end(), schema::audit);
        assert_eq!(
            (&line["type"], &line["packets"]),
            (&"finding".into(), &12.into())
        );

        let csv = text(&place, "findings --format csv");
        let lines: Vec<_> = csv.split("\r\n").collect();
        assert_eq!(lines.len(), 4, "{csv}");
        let cells: Vec<_> = lines[1].split(',').collect();
        assert_eq!((cells[0], cells[4], cells[9]), (&*leak.id, "leak", "12"));
        assert_eq!(cells[19], sent.pid.to_string());

        let explained = text(&place, &format!("explain {}", leak.id));
        let short = text(&place, &format!("findings {}", leak.id));
        assert!(
            explained.starts_with(&short) && explained.contains("## Fix it"),
            "{explained}"
        );
        assert!(
            short.starts_with(&format!("leak device-escape {}: ", leak.id)),
            "{short}"
        );
        let unknown = ask(&place, "explain 0123456789ab");
        assert_eq!(unknown.status.code(), Some(1));

        let matrix = text(&place, "matrix");
        assert!(
            matrix.contains("12 !") && matrix.contains("left where it must not"),
            "{matrix}"
        );
        let json = text(&place, "matrix --format json");
        let matrix = valid(json.trim_end(), schema::matrix);
        assert_eq!(matrix["packets"], 14);
        auditor.stop();
    });
}

#[test]
fn following_goes_on_with_the_next_auditor() {
    scenario("control follow", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        bench.send(&format!("{LEAK} --count 3"));
        let first = auditor.wait_for_finding("device-escape");
        let mut follower =
            Pinif::start(place.pinif("findings --follow --format json --severity leak"));
        let is = |id: &str, packets: u64| {
            let (id, packets) = (
                format!("\"id\":\"{id}\""),
                format!("\"packets\":{packets},"),
            );
            move |line: &str| line.contains(&id) && line.contains(&packets)
        };
        follower.wait_for_line("the finding that there was", is(&first.id, 3));
        bench.send(&format!("{LEAK} --count 2"));
        follower.wait_for_line("it has grown", |line| {
            line.contains("\"packets\":2,") || line.contains("\"packets\":5,")
        });
        auditor.stop();
        follower.wait_for_note("the auditor has ended; waiting for the next one");

        let mut next = place.audit(bench, &[]);
        follower.wait_for_note("an auditor answers again");
        bench.send(&format!("{LEAK} --count 7"));
        let second = next.wait_for_finding("device-escape");
        follower.wait_for_line("the next auditor's finding", is(&second.id, 7));
        next.kill();
        follower.wait_for_note("the auditor has ended; waiting for the next one");
        follower.signal(Signal::SIGINT);
        assert_eq!(follower.end().status.code(), Some(0));
    });
}

#[test]
fn pinif_alone_says_where_to_begin() {
    let output = Command::new(env!("CARGO_BIN_EXE_pinif"))
        .output()
        .expect("pinif runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(
        text.contains("pinif doctor") && text.contains("auditor"),
        "{text}"
    );
}

/// An empty table would be taken for "nothing was found".
#[test]
fn what_no_finding_is_as_is_said_with_what_there_is() {
    scenario("control filters", &[], |bench| {
        let place = Place::new();
        // What can be no value is one without an auditor, too.
        let refused = |place: &Place| {
            for (filter, why) in [
                (
                    "--kind nosuch",
                    "there is no kind `nosuch`; there are device-escape, ",
                ),
                (
                    "--severity nosuch",
                    "there is no severity `nosuch`; there are leak, risk, note",
                ),
                (
                    "--state nosuch",
                    "there is no state `nosuch`; there are open, quiet, accepted",
                ),
                (
                    "--since nosuch",
                    "`nosuch` is no time; write how long ago, such as 10m, or ",
                ),
                ("--process [", "unclosed character class; missing ']'"),
                ("--netns [", "unclosed character class; missing ']'"),
            ] {
                let output = ask(place, &format!("findings {filter}"));
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(1), "{filter}: {said}");
                let option = filter.split(' ').next().unwrap_or_default();
                assert!(
                    said.contains(option) && said.contains(why),
                    "{filter}: {said}"
                );
            }
        };
        refused(&place);
        let mut auditor = place.audit(bench, &[]);
        refused(&place);
        // Nothing to choose from.
        assert_eq!(text(&place, "findings --kind unpinned"), NONE);
        bench.send(&format!("{LEAK} --count 12"));
        bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 2");
        auditor.wait_for_finding("device-escape");
        auditor.wait_for_finding("address-escape");
        let card = bench.card().name();
        for (filter, there) in [
            ("--kind unpinned", "address-escape, device-escape"),
            ("--severity note", "leak, risk"),
            ("--state quiet", "open"),
            ("--since 2100-01-01T00:00:00Z", ""),
            ("--netns another", card),
            ("--process another", "pinif-sender"),
            ("--process 1", "pinif-sender"),
            ("--kind device-escape --severity risk", "both"),
        ] {
            let shown = text(&place, &format!("findings {filter}"));
            let why = match there {
                "" => format!("`{filter}` says"),
                "both" => "`--kind device-escape` and `--severity risk` say together".to_owned(),
                there => format!("`{filter}` says; those that there are: {there}"),
            };
            assert_eq!(shown, format!("none of 2 findings is as {why}\n"));
            // For programs it stays as it is: no line, and headings.
            assert_eq!(
                text(&place, &format!("findings --format json {filter}")),
                ""
            );
            let csv = ask(&place, &format!("findings --format csv {filter}"));
            assert_eq!(
                String::from_utf8_lossy(&csv.stdout).lines().count(),
                1,
                "{filter}"
            );
            assert!(csv.stderr.is_empty(), "{filter}: {csv:?}");
        }
        auditor.stop();
    });
}
