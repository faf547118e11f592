//! How a pinned command ends, and what goes on to it until then.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{cgroup_of_command, status};
use crate::bench::{Events, scenario, wait_until};

#[test]
fn the_end_is_the_commands() {
    scenario("run exit-status", &[], |bench| {
        assert_eq!(status(bench, "exit 0").code(), Some(0));
        assert_eq!(status(bench, "exit 7").code(), Some(7));
        assert_eq!(status(bench, "kill -TERM $$").signal(), Some(15));
        assert_eq!(status(bench, "kill -KILL $$").signal(), Some(9));
        let mut run = bench.pinned("fab0", "");
        run.args([
            "sh",
            "-c",
            "echo \"$1 $PINIF_TEST\"; read line; echo \"$line\" >&2; cat",
            "sh",
            "-x",
        ]);
        run.env("PINIF_TEST", "kept")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = run.spawn().expect("pinif");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(b"one\ntwo\n").expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("a child");
        assert_eq!(output.stdout, b"-x kept\ntwo\n");
        assert!(output.stderr.starts_with(b"one\n"), "{output:?}");
    });
}

#[test]
fn what_cannot_be_executed_ends_as_with_env() {
    scenario("run not-found", &[], |bench| {
        for (command, code, said) in [
            (
                "/no/such/command",
                127,
                "pinif: cannot run /no/such/command: No such file or directory (os error 2)\n",
            ),
            (
                "/etc/passwd",
                126,
                "pinif: cannot run /etc/passwd: Permission denied (os error 13)\n",
            ),
        ] {
            let output = bench
                .pinned("fab0", "")
                .arg(command)
                .output()
                .expect("pinif");
            assert_eq!(output.status.code(), Some(code));
            assert_eq!(String::from_utf8_lossy(&output.stderr), said);
        }
        let left = fs::read_dir(bench.cgroup_path()).expect("the cgroup is there");
        let left = left
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir());
        assert_eq!(left.count(), 0, "no cgroup stays");
    });
}

#[test]
fn signals_go_on_to_the_command() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGQUIT,
    ] {
        scenario(
            &format!("run {}", signal.as_str().to_lowercase()),
            &[],
            |bench| {
                let name = &signal.as_str()[3..];
                let mut run = bench.pinned("fab0", "");
                run.args([
                    "sh",
                    "-c",
                    &format!("trap 'exit 42' {name}; echo ready; read line"),
                ]);
                run.stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null());
                let mut child = run.spawn().expect("pinif");
                let _open = child.stdin.take();
                let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
                assert_eq!(said.next().expect("a line").expect("text"), "ready");
                kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it runs");
                assert_eq!(child.wait().expect("a child").code(), Some(42));
            },
        );
    }
}

#[test]
fn a_command_that_stops_stops_pinif_and_goes_on_with_it() {
    scenario("run stopped", &[], |bench| {
        let mut run = bench.pinned("fab0", "");
        run.args(["sh", "-c", "kill -STOP $$; exit 5"])
            .stderr(Stdio::null());
        let mut child = run.spawn().expect("pinif");
        let pid = Pid::from_raw(child.id().cast_signed());
        let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("a child");
        assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
        kill(pid, Signal::SIGCONT).expect("it is there");
        assert_eq!(child.wait().expect("a child").code(), Some(5));
    });
}

#[test]
fn an_interrupt_at_the_terminal_comes_once() {
    scenario("run terminal", &[], |bench| {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let mut run = bench.pinned("fab0", "");
        run.args([
            "sh",
            "-c",
            "trap 'echo caught' INT; echo ready; until read line; do :; done; echo \"got $line\"; exit 6",
        ]);
        let slave = || pty.slave.try_clone().expect("a descriptor");
        run.stdin(slave()).stdout(slave()).stderr(Stdio::null());
        // SAFETY: system calls only, between fork and exec.
        unsafe {
            run.pre_exec(|| {
                nix::unistd::setsid()?;
                if libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let mut child = run.spawn().expect("pinif");
        let mut terminal = fs::File::from(pty.master.try_clone().expect("a descriptor"));
        let mut lines = BufReader::new(fs::File::from(pty.master))
            .lines()
            .map_while(Result::ok);
        let mut wait_for = |word: &str| {
            let mut before = Vec::new();
            for line in lines.by_ref() {
                if line.contains(word) {
                    return before;
                }
                before.push(line);
            }
            panic!("it never said {word}, but {before:?}")
        };
        wait_for("ready");
        terminal.write_all(b"\x03").expect("a terminal");
        wait_for("caught");
        terminal.write_all(b"word\n").expect("a terminal");
        let between = wait_for("got word");
        assert!(
            !between.iter().any(|line| line.contains("caught")),
            "{between:?}"
        );
        assert_eq!(child.wait().expect("a child").code(), Some(6));
    });
}

#[test]
fn what_a_command_leaves_behind_stays_pinned() {
    scenario("run left-behind", &[], |bench| {
        let mut run = bench.pinned_reported("fab0", "human");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        run.args([
            "sh",
            "-c",
            "exec 3<&0; sh -c 'read line' <&3 2>/dev/null & exit 3",
        ]);
        run.stdin(reader).stdout(Stdio::null());
        let output = run.output().expect("pinif");
        assert_eq!(output.status.code(), Some(3));
        let errors = String::from_utf8_lossy(&output.stderr);
        let cgroup = cgroup_of_command(bench);
        assert_eq!(
            errors,
            format!(
                "pinif: 0 sockets pinned to fab0\npinif: no packet left\npinif: one process of the command goes on, and it \
                 stays pinned, in the cgroup {}\n",
                cgroup.display()
            )
        );
        assert_eq!(bench.pin_of(&cgroup).interface, "fab0");
        let events = Events::of_files([cgroup.join("cgroup.events")]);
        drop(writer);
        wait_until("the process is gone", &events, || {
            fs::read_to_string(cgroup.join("cgroup.procs")).is_ok_and(|procs| procs.is_empty())
        });
        // The next one takes away what was left.
        status(bench, "true");
        assert!(!cgroup.exists());
    });
}
