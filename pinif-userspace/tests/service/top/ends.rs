//! How the program leaves its terminal, however it ends or stops.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use pinif_lab::patience;
use pinif_userspace::surfaces::top::Terminal;

use super::place::{Place, USUAL};
use super::pty::{Pty, Session};
use crate::bench::scenario;

/// What ends the program.
type End = fn(&mut Pty);

#[test]
fn it_ends_as_it_is_ended_and_gives_the_terminal_back() {
    scenario("service top-ends", &[], |bench| {
        let place = Place::new();
        let _auditor = place.audit(bench);
        let ends: [(&str, End); 6] = [
            ("q", |top| top.keys("q")),
            ("Ctrl-C", |top| top.keys("\x03")),
            ("SIGTERM", |top| top.signal(Signal::SIGTERM)),
            ("SIGINT", |top| top.signal(Signal::SIGINT)),
            ("SIGQUIT", |top| top.signal(Signal::SIGQUIT)),
            ("SIGHUP", |top| top.signal(Signal::SIGHUP)),
        ];
        for (name, end) in ends {
            let mut top = place.top();
            top.wait_for("1 overview");
            assert!(top.screen().alternate_screen() && top.screen().hide_cursor());
            end(&mut top);
            let (status, took) = top.end();
            assert!(status.success(), "{name}: {status}");
            assert!(took < patience(Duration::from_secs(1)), "{name}: {took:?}");
            top.is_given_back();
        }
    });
}

#[test]
fn it_ends_when_the_terminal_goes() {
    scenario("service top-hangup", &[], |bench| {
        let place = Place::new();
        let _auditor = place.audit(bench);
        for session in [Session::Own, Session::Ours] {
            let mut top = Pty::start(place.command(), USUAL, session);
            top.wait_for("1 overview");
            top.hang_up();
            let (status, took) = top.end();
            assert!(status.success(), "{session:?}: {status}");
            assert!(
                took < patience(Duration::from_secs(1)),
                "{session:?}: {took:?}"
            );
        }
    });
}

#[test]
fn it_stops_by_ctrl_z_and_goes_on() {
    scenario("service top-stop", &[], |bench| {
        let place = Place::new();
        let _auditor = place.audit(bench);
        let top = place.command();
        let mut shell = Command::new("sh");
        // A shell that knows jobs, since nothing stops whose shell knows none.
        shell.args([
            "-c",
            "set -m; \"$@\"; echo it has stopped; read line; fg; echo it has ended",
            "sh",
        ]);
        shell.arg(top.get_program()).args(top.get_args());
        shell.env("TERM", "xterm-256color");
        let mut pty = Pty::start(shell, USUAL, Session::Own);
        for _ in 0..1 {
            pty.wait_for("1 overview");
            pty.keys("\x1a");
            pty.wait_for("it has stopped");
            pty.is_given_back();
            pty.keys("\n");
            pty.wait("it has the screen again", |pty| {
                pty.screen().alternate_screen()
            });
            pty.wait_for("1 overview");
        }
        pty.resize((60, 20));
        pty.keys("5");
        pty.wait_for("fab0");
        pty.keys("q");
        pty.wait_for("it has ended");
        pty.end();
    });
}

#[test]
fn a_panic_gives_the_terminal_back_and_can_be_read() {
    const ON_A_TERMINAL: &str = "PINIF_TEST_PANICS";
    if std::env::var_os(ON_A_TERMINAL).is_some() {
        let _terminal = Terminal::take().expect("a terminal");
        panic!("on purpose");
    }
    let mut command = Command::new(std::env::current_exe().expect("it has a path"));
    command.args([
        "--exact",
        "--nocapture",
        "top::ends::a_panic_gives_the_terminal_back_and_can_be_read",
    ]);
    command.env(ON_A_TERMINAL, "1");
    let mut pty = Pty::start(command, USUAL, Session::Own);
    assert!(!pty.end().0.success());
    assert!(
        pty.written().contains("\u{1b}[?1049h"),
        "{:?}",
        pty.written()
    );
    pty.is_given_back();
    assert!(
        pty.screen().contents().contains("on purpose"),
        "{}",
        pty.lines().join("\n")
    );
}
