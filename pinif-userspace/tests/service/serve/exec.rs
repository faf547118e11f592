//! The operator's program is called for what becomes of findings: with their facts, one call at a time, and not for ever.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::sys::signal::Signal;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    issued::{Folder, set_mode},
    served::Served,
};
use crate::{
    bench::{Auditor, Bench, leak, scenario},
    control::{
        asked::{LEAK, Place},
        docs::read,
    },
};

/// A program of these lines.
fn program(folder: &Folder, lines: &str) -> PathBuf {
    let path = folder.put("program", lines);
    set_mode(&path, 0o700);
    path
}

fn serve(place: &Place, program: &Path, more: &[&str]) -> Served {
    let program = program.to_str().expect("UTF-8");
    Served::start(place, [&["--exec", program], more].concat())
}

/// A `pinif serve` that calls the program, and hears the auditor here of a finding of one packet.
fn beside_a_leak<'b>(
    bench: &'b Bench,
    program: &Path,
    more: &[&str],
) -> (Place, Auditor<'b>, Served) {
    let place = Place::new();
    let mut auditor = place.audit(bench, &[]);
    let mut served = serve(&place, program, more);
    served.wait_until_heard();
    bench.send(&format!("{LEAK} --count 1"));
    auditor.wait_for_finding("device-escape");
    (place, auditor, served)
}

fn metric(served: &Served, name: &str) -> u64 {
    let (_, text) = served.get("/metrics");
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} "))?.parse().ok());
    value.unwrap_or_else(|| panic!("{name}: {text}"))
}

fn calls(served: &Served) -> [u64; 4] {
    ["succeeded", "failed", "timed-out", "not-started"].map(|outcome| {
        metric(
            served,
            &format!("pinif_serve_exec_calls_total{{outcome=\"{outcome}\"}}"),
        )
    })
}

/// The program that docs/alert.md has, in a file whose lines go elsewhere.
#[test]
fn the_documented_program_writes_a_line_for_each_transition() {
    scenario("serve exec", &[], |bench| {
        let page = read("alert.md");
        let begin = page.find("#!/bin/sh\n").expect("a program");
        let length = page[begin..].find("```").expect("its end");
        let lines = &page[begin..begin + length];
        assert!(lines.contains("/var/lib/pinif/alerts"), "{lines}");
        let folder = Folder::new();
        let alerts = folder.path("alerts");
        let program = program(
            &folder,
            &lines.replace("/var/lib/pinif/alerts", alerts.to_str().expect("UTF-8")),
        );
        let place = Place::new();
        let mut auditor = place.audit(bench, &["--label", "chassis=west"]);
        let mut served = serve(&place, &program, &[]);
        served.wait_until_heard();
        let written = |served: &Served, number: usize| {
            served.until("a line", |_| {
                let text = fs::read_to_string(&alerts).unwrap_or_default();
                (text.lines().count() == number).then_some(text)
            })
        };
        let one = bench.send(&format!("{LEAK} --count 1"));
        let finding = auditor.wait_for_finding("device-escape");
        written(&served, 1);
        let nine = bench.send(&format!("{LEAK} --count 9"));
        let text = written(&served, 2);
        let line = |transition: &str, packets: u64| {
            format!(
                "{transition} leak device-escape {} chassis=west fab0 -> eth1 by pinif-sender: packets={packets}",
                finding.id
            )
        };
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, [line("opened", 1), line("grown", 10)]);
        // A call is counted when it has ended.
        served.until("both calls", |served| {
            (calls(served) == [2, 0, 0, 0]).then_some(())
        });
        for name in ["coalesced_total", "lost_total", "waiting"] {
            assert_eq!(metric(&served, &format!("pinif_serve_exec_{name}")), 0);
        }
        served.stop();
        // One that is there already is opened for a `pinif serve` that starts: it may have been missed.
        let served = serve(&place, &program, &[]);
        let text = written(&served, 3);
        assert_eq!(text.lines().last(), Some(&*line("opened", 10)));
        served.stop();
        let report = auditor.stop();
        let finding = || leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(finding().packets(1).by(&one))
            .finding(finding().packets(9).by(&nine))
            .nothing_else();
    });
}

/// A program that says what it was given, and one that does not end.
#[test]
fn a_call_is_given_variables_alone_and_so_much_time() {
    scenario("serve exec-limits", &[], |bench| {
        let folder = Folder::new();
        let (given, pids) = (folder.path("given"), folder.path("pids"));
        // What it starts itself holds its group, and ends with it.
        let lines = format!(
            "#!/bin/sh\ntr '\\0' '\\n' </proc/self/environ >{}\ncat /proc/$$/cmdline | tr '\\0' ' ' >>{}\nsleep 1000 &\necho $$ $! >{}.new\nmv {}.new {}\nwait\n",
            given.display(),
            given.display(),
            pids.display(),
            pids.display(),
            pids.display()
        );
        let program = program(&folder, &lines);
        let (_place, auditor, mut served) =
            beside_a_leak(bench, &program, &["--exec-timeout", "500ms"]);
        let note = served.pinif.wait_for_note("does not end in time");
        assert!(note.contains("is not called for again"), "{note}");
        assert_eq!(calls(&served), [0, 0, 1, 0]);
        let pids = fs::read_to_string(pids).expect("it was called");
        served.until("the end of both", |_| {
            let is_gone = |pid: &str| {
                let status = fs::read_to_string(format!("/proc/{pid}/stat"));
                // Whoever takes orphans in may be slow to take its end.
                status.is_err() || status.is_ok_and(|text| text.contains(") Z "))
            };
            pids.split_whitespace().all(is_gone).then_some(())
        });
        let first = pids.split_whitespace().next().expect("a number");
        assert!(!Path::new("/proc").join(first).exists(), "it is reaped");
        let given = fs::read_to_string(given).expect("it was called");
        let (names, last) = given.rsplit_once('\n').expect("lines");
        assert_eq!(
            last,
            format!("/bin/sh {} ", program.display()),
            "no arguments"
        );
        for line in names.lines() {
            let (name, value) = line.split_once('=').expect("a variable");
            // A shell sets these itself.
            let is_known = ["PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(&name);
            assert!(is_known || name.starts_with("PINIF_"), "{line}");
            assert!(!value.is_empty(), "{line}");
        }
        assert!(names.contains("\nPINIF_TRANSITION=opened\n"), "{names}");
        assert!(names.contains("PINIF_PROCESS=pinif-sender\n"), "{names}");
        served.stop();
        auditor.stop();
    });
}

#[test]
fn a_program_that_fails_is_said_once_and_counted() {
    scenario("serve exec-fails", &[], |bench| {
        let folder = Folder::new();
        let program = program(&folder, "#!/bin/sh\nexit 3\n");
        let (_place, auditor, mut served) = beside_a_leak(bench, &program, &[]);
        served.pinif.wait_for_note("program ends with status 3");
        bench.send(&format!("{LEAK} --count 20"));
        served.until("the second call", |served| {
            (calls(served) == [0, 2, 0, 0]).then_some(())
        });
        // Others can change it by now.
        let mark = folder.path("mark");
        fs::write(&program, format!("#!/bin/sh\n: >{}\n", mark.display())).expect("it is ours");
        set_mode(&program, 0o777);
        bench.send(&format!("{LEAK} --count 300"));
        let note = served.pinif.wait_for_note("program is not called");
        assert!(
            note.contains("others can change the program of --exec"),
            "{note}"
        );
        assert!(!mark.exists(), "it is not called");
        assert_eq!(calls(&served), [0, 2, 0, 1]);
        fs::remove_file(&program).expect("it is ours");
        bench.send(&format!("{LEAK} --count 3000"));
        served.pinif.wait_for_note("there is no such file");
        assert_eq!(calls(&served), [0, 2, 0, 2]);
        let ended = served.stop();
        let said = ended.stderr.iter().filter(|line| line.contains("status 3"));
        assert_eq!(said.count(), 1, "{:?}", ended.stderr);
        auditor.stop();
    });
}

#[test]
fn what_is_no_program_is_refused_with_the_fix() {
    let folder = Folder::new();
    let path = folder.put("program", "#!/bin/sh\n");
    let error = |path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--exec"])
            .arg(path);
        let output = command.output().expect("pinif runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(error(&path).contains("is no program; run `chmod a+x "));
    set_mode(&path, 0o722);
    let said = error(&path);
    assert!(
        said.contains("others can change the program of --exec"),
        "{said}"
    );
    assert!(error(Path::new("program")).contains("is no absolute path"));
    let said = error(&folder.path("none"));
    assert!(said.contains("none: there is no such file"), "{said}");
    set_mode(&path, 0o700);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--exec-timeout", "0s"]);
    let output = command.arg("--exec").arg(&path).output();
    let output = output.expect("pinif runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("give --exec-timeout more"), "{said}");
}

#[test]
fn a_call_that_the_end_cuts_short_is_not_said_to_be_late() {
    scenario("serve exec-end", &[], |bench| {
        let folder = Folder::new();
        let begun = folder.path("begun");
        let lines = format!("#!/bin/sh\n: >{}\nexec sleep 1000\n", begun.display());
        let program = program(&folder, &lines);
        let (_place, auditor, served) =
            beside_a_leak(bench, &program, &["--exec-timeout", "1000s"]);
        served.until("the call", |_| begun.exists().then_some(()));
        let said = served.stop().stderr.join("\n");
        assert!(
            said.contains("program is killed: pinif serve ends"),
            "{said}"
        );
        assert!(!said.contains("in time"), "{said}");
        auditor.stop();
    });
}

/// Nobody is left then who would end it after its time.
#[test]
fn a_call_does_not_outlive_a_pinif_serve_that_is_killed() {
    scenario("serve exec-killed", &[], |bench| {
        let folder = Folder::new();
        let begun = folder.path("begun");
        let lines = format!(
            "#!/bin/sh\necho $$ >{}.new\nmv {}.new {}\nexec sleep 1000\n",
            begun.display(),
            begun.display(),
            begun.display()
        );
        let program = program(&folder, &lines);
        let (_place, auditor, served) =
            beside_a_leak(bench, &program, &["--exec-timeout", "1000s"]);
        let pid = served.until("the call", |_| fs::read_to_string(&begun).ok());
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        let called = pidfd_open(pid.expect("a number"), PidfdFlags::empty()).expect("it runs");
        served.pinif.signal(Signal::SIGKILL);
        // It is readable once the process has ended (pidfd_open(2)).
        let mut ended = [PollFd::new(&called, PollFlags::IN)];
        let limit = pinif_lab::patience(Duration::from_secs(60));
        let limit = Timespec::try_from(limit).expect("a minute");
        let ready = poll(&mut ended, Some(&limit)).expect("it is asked");
        assert_eq!(ready, 1, "the program has ended");
        served.pinif.end();
        auditor.stop();
    });
}

/// On most hosts `/bin` is a link; in the machines of other kernels it is one that 9p serves.
#[test]
fn a_program_may_be_named_by_a_path_with_links() {
    let place = Place::new();
    let served = serve(&place, Path::new("/bin/true"), &[]);
    assert_eq!(calls(&served), [0, 0, 0, 0]);
    served.stop();
}
