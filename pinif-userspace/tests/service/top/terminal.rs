//! The program on a real terminal, over a real auditor.

use std::net::UdpSocket;
use std::time::Duration;

use pinif_lab::patience;
use pinif_userspace::control::protocol::MatrixNow;
use pinif_userspace::findings::matrix::Matrix;

use super::place::{LEAK, Place, USUAL};
use super::pty::{Pty, Session};
use crate::bench::scenario;

/// The number behind `state ` on the screen.
fn state(pty: &Pty) -> Option<u64> {
    let contents = pty.screen().contents();
    let (_, rest) = contents.rsplit_once("state ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The cells of the matrix on the screen, by the names of their rows and columns: what stands there without marks and rates.
fn cells(pty: &Pty) -> Vec<(String, String, u64)> {
    let lines = pty.lines();
    let columns: Vec<&str> = lines[2].split_whitespace().skip(2).collect();
    let mut cells = Vec::new();
    for line in lines[3..].iter().take_while(|line| !line.is_empty()) {
        let line = line.replace(',', "");
        let mut words = line.split_whitespace();
        let row = words.next().expect("a row has a name").to_owned();
        let mut columns = columns.iter();
        for word in words {
            if word == "·" {
                columns.next();
            } else if let Ok(packets) = word.parse() {
                let column = columns.next().expect("a column for each cell");
                cells.push((row.clone(), (*column).to_owned(), packets));
            }
        }
    }
    cells.sort();
    cells
}

/// The same, of what the auditor says.
fn said(matrix: &MatrixNow) -> Vec<(String, String, u64)> {
    let matrices = Matrix::of_graded(&matrix.matrix);
    let mut cells = Vec::new();
    for matrix in &matrices {
        for row in &matrix.rows {
            for (column, sum) in &row.sums {
                let column = matrix.columns[*column].clone();
                cells.push((row.sender.name().to_owned(), column, sum.packets));
            }
        }
    }
    cells.sort();
    cells
}

#[test]
fn the_screen_has_what_the_auditor_says() {
    scenario("service top-matrix", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench);
        let mut top = place.top();
        top.wait_for("1 overview");
        top.keys("2");
        for round in 1..=3 {
            bench.send(&format!("{LEAK} 100"));
            top.wait_for(&format!("{} !", round * 100));
            // Each is asked at its own time: the same state is what is compared.
            let mut matrix = place.matrix();
            top.wait("the screen has that state", |top| {
                let shown = state(top);
                while shown > Some(matrix.seq) {
                    matrix = place.matrix();
                }
                shown == Some(matrix.seq)
            });
            assert_eq!(cells(&top), said(&matrix), "{}", top.lines().join("\n"));
        }
        top.keys("q");
        assert!(top.end().0.success());
        top.is_given_back();
        drop(auditor);
    });
}

#[test]
fn a_finding_opens_to_its_fix_in_three_keys() {
    scenario("service top-finding", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench);
        bench.send(&format!("{LEAK} 7"));
        for (size, keys) in [(USUAL, "3\r"), ((30, 8), "3\r\x1b[F")] {
            let mut top = Pty::start(place.command(), size, Session::Own);
            top.wait_for("1 leak");
            // As fast as one types: nothing is waited for.
            top.keys(keys);
            top.wait_for("ipi_ifindex");
            if size == USUAL {
                for words in [
                    "process",
                    "socket",
                    "path",
                    "cause     IP_PKTINFO override",
                    "fix",
                    "7 packets",
                ] {
                    top.wait_for(words);
                }
            }
        }
        drop(auditor);
    });
}

#[test]
fn the_sockets_are_those_of_the_audited_namespace() {
    scenario("service top-sockets", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench);
        let socket = bench.card().run(|| {
            let socket = UdpSocket::bind("10.0.0.1:4001").expect("an address of the card");
            socket.connect("203.0.113.9:9").expect("a route");
            socket
        });
        let mut top = place.top();
        top.wait_for("1 overview");
        top.keys("4");
        top.wait_for("1 socket");
        let lines = top.lines();
        let words: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!(words[..3], ["misrouted", "·", "eth1"], "{lines:?}");
        assert!(
            lines[3].contains(&format!("(pid {})", std::process::id())),
            "{lines:?}"
        );
        assert!(
            lines[3].contains("UDP 10.0.0.1:4001 → 203.0.113.9:9"),
            "{lines:?}"
        );
        drop((socket, auditor));
    });
}

#[test]
fn it_finds_the_auditor_again() {
    scenario("service top-restart", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench);
        bench.send(&format!("{LEAK} 7"));
        let mut top = place.top();
        top.wait_for("1 leak");
        drop(auditor);
        top.wait_for("no answer, asking again");
        top.wait_for("s old");
        // What was seen last stays.
        top.wait_for("1 leak");
        let auditor = place.audit(bench);
        top.wait_for("the auditor was restarted");
        top.wait_for("no finding");
        drop(auditor);
    });
}

#[test]
fn without_an_auditor_it_says_where_to_begin() {
    let place = Place::new();
    let output = place.command().output().expect("pinif runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no auditor listens at"), "{said}");
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_gets_lines() {
    scenario("service top-linear", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench);
        bench.send(&format!("{LEAK} 7"));
        for (term, why) in [
            (Some("dumb"), "TERM=dumb moves no cursor"),
            (
                Some("a-terminal-of-tomorrow"),
                "TERM=a-terminal-of-tomorrow is not known",
            ),
            (None, "TERM is not set"),
        ] {
            let mut command = place.command();
            match term {
                Some(term) => command.env("TERM", term),
                None => command.env_remove("TERM"),
            };
            let mut top = Pty::start(command, (200, 30), Session::Own);
            top.wait_for(why);
            top.wait_for("now: 1 leak");
            top.wait_for(
                "bound to fab0 left via eth1, 7 packets. Cause: IP_PKTINFO override. Fix: ",
            );
            assert!(!top.written().contains('\u{1b}'), "{:?}", top.written());
            top.keys("\x03");
            assert!(top.end().0.success());
        }
        let mut command = place.command();
        command.arg("--linear");
        let mut top = Pty::start(command, (200, 30), Session::Own);
        top.wait_for("now: 1 leak");
        assert!(
            !top.written().contains("pinif:"),
            "it was asked for: {}",
            top.written()
        );
        bench.send(&format!("{LEAK} 93"));
        // At ten times as many, or more: how many, depends on when the counters are read.
        top.wait_for(" packets so far");
        drop(auditor);
        top.wait_for("no answer, asking again");
        top.hang_up();
        assert!(top.end().1 < patience(Duration::from_secs(1)));
    });
}

#[test]
fn colours_are_the_terminals_own_and_can_be_refused() {
    scenario("service top-colour", &[], |bench| {
        let place = Place::new();
        let _auditor = place.audit(bench);
        bench.send(&format!("{LEAK} 7"));
        for refused in [false, true] {
            let mut command = place.command();
            if refused {
                command.env("NO_COLOR", "1");
            }
            let mut top = Pty::start(command, USUAL, Session::Own);
            top.wait_for("1 leak");
            top.keys("2");
            top.wait_for("7 !");
            let (lines, columns) = top.screen().size();
            let mut colours = Vec::new();
            for (line, column) in (0..lines.get())
                .flat_map(|line| (0..columns.get()).map(move |column| (line, column)))
            {
                let cell = top.screen().cell(line, column).expect("a cell");
                assert_eq!(cell.bgcolor(), vt100::Color::Default);
                colours.extend((cell.fgcolor() != vt100::Color::Default).then(|| cell.fgcolor()));
            }
            colours.dedup();
            let expected: &[_] = if refused {
                &[]
            } else {
                &[vt100::Color::Idx(1)]
            };
            assert_eq!(colours, expected);
        }
    });
}

#[test]
fn the_terminal_may_be_resized_at_any_time() {
    scenario("service top-resize", &[], |bench| {
        let place = Place::new();
        let _auditor = place.audit(bench);
        let mut top = place.top();
        top.wait_for("1 overview");
        for step in 0..200_u16 {
            top.resize((30 + step * 37 % 171, 8 + step * 13 % 53));
        }
        for size in [(30, 8), (200, 60), (80, 24)] {
            top.resize(size);
            top.keys("\x0c5");
            top.wait("it has drawn all of it", |top| {
                let lines = top.lines();
                let is_drawn = |line: usize, start: &str| lines[line].starts_with(start);
                is_drawn(0, "pinif  no finding")
                    && is_drawn(2, "interface  state")
                    && (3..6).all(|line| lines[line].ends_with("audited"))
                    && is_drawn(usize::from(size.1) - 1, "q end")
            });
        }
        top.keys("q");
        assert!(top.end().0.success());
        top.is_given_back();
    });
}
