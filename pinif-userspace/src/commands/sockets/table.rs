//! Sockets as a table for people.

use crate::{
    host::namespaces::Enter,
    surfaces::{
        grid::{Grid, Text},
        look::{self, Look},
        sockets,
    },
    survey::{Risk, Socket, Survey, SurveyedSocket, unlisted},
    text::{
        escape::visible,
        words::{counted, wrapped},
    },
};

/// The table, a line a socket; how many there are of each risk, or why there is none; what is not listed; and what to try next. Names of
/// processes and interfaces are made safe to show.
pub(super) fn render(
    all: &Survey,
    why: Option<String>,
    enter: &Enter,
    look: Look,
    columns: Option<usize>,
) -> String {
    let mut text = table(&all.sockets, look, columns);
    let mut line = |line: String| {
        text.push_str(&match columns {
            Some(columns) => wrapped(&line, columns, 0),
            None => line,
        });
        text.push('\n');
    };
    line(why.unwrap_or_else(|| sum(&all.sockets)));
    if all.unlisted_raw > 0 {
        line(unlisted(all.unlisted_raw));
    }
    line(line_of_next(&all.sockets, enter));
    text
}

fn table(sockets: &[SurveyedSocket], look: Look, columns: Option<usize>) -> String {
    let several = sockets
        .windows(2)
        .any(|pair| pair[0].netns != pair[1].netns);
    // The short ones first: they stand beside each other on a narrow terminal, too.
    let mut headings = vec!["risk", "bound to", "leaves via", "process", "socket", "why"];
    if several {
        headings.insert(3, "namespace");
    }
    let grid = Grid {
        headings: headings
            .into_iter()
            .map(|text| Text::left(text).styled(look::strong()))
            .collect(),
        rows: sockets.iter().map(|socket| row(socket, several)).collect(),
    };
    if sockets.is_empty() {
        return String::new();
    }
    grid.list(look, columns)
}

fn row(socket: &SurveyedSocket, several: bool) -> Vec<Text> {
    let socket = Socket::from(socket);
    let shown = |text: &str| Text::left(visible(text));
    let mut row = vec![
        Text::left(&*socket.risk).styled(sockets::style(&socket)),
        shown(sockets::bound(&socket)),
        shown(&sockets::via(&socket)),
        shown(&sockets::process(&socket)),
        Text::left(sockets::ends(&socket)),
        shown(&socket.why),
    ];
    if several {
        row.insert(3, shown(&socket.netns));
    }
    row
}

/// How many there are of each risk, in a line.
fn sum(sockets: &[SurveyedSocket]) -> String {
    let mut text = counted(sockets.len() as u64, "socket");
    for risk in Risk::ALL {
        let many = sockets.iter().filter(|socket| socket.risk == risk).count();
        if many != 0 {
            text.push_str(if text.contains(':') { ", " } else { ": " });
            text.push_str(&format!("{many} {}", risk.name()));
        }
    }
    text
}

/// What to try next.
fn line_of_next(sockets: &[SurveyedSocket], enter: &Enter) -> String {
    let command = |line: &str| {
        let there = enter.line(line).unwrap_or_else(|| line.to_owned());
        visible(&there).into_owned()
    };
    let Some(worst) = sockets.iter().map(|socket| socket.risk).min() else {
        return format!(
            "Next: `{}` shows every socket; `pinif audit` shows what leaves.",
            command("pinif sockets")
        );
    };
    match worst {
        Risk::Misrouted => {
            "Next: `pinif explain address-escape` says how such a socket comes about, and how to fix it."
                .to_owned()
        }
        Risk::DefaultRoute | Risk::Unpinned => format!(
            "Next: `{}` shows which of these leave elsewhere if an interface goes down; `pinif run` and `pinif pin` bind them.",
            command("pinif foresee")
        ),
        Risk::Crossed => {
            "Next: `pinif explain crossed-bind` says what comes of it, and how to fix it.".to_owned()
        }
        Risk::Stuck => format!(
            "Next: `{}` shows the devices' state, and `{}` who answers there.",
            command("ip link"),
            command("ip neigh")
        ),
        Risk::Pinned | Risk::Internal => format!(
            "Next: `{}` shows what would leave elsewhere if an interface went down.",
            command("pinif foresee")
        ),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pinif_ebpf::key::SocketCookie;

    use super::*;
    use crate::{findings::process::Process, survey::Leaves};

    fn process(comm: &str, pid: u32) -> Process {
        Process {
            pid: Some(pid),
            started: None,
            comm: comm.to_owned(),
            exe: None,
            uid: 0,
            cgroup: None,
        }
    }

    fn socket(local: &str, risk: Risk, leaves: Leaves, why: &str) -> SurveyedSocket {
        SurveyedSocket {
            cookie: SocketCookie(1),
            netns: "card".to_owned(),
            protocol: "udp".to_owned(),
            state: "unconnected",
            local: Some(local.to_owned()),
            remote: None,
            bound_device: None,
            uid: Some(0),
            processes: vec![process("fabricd", 640)],
            leaves,
            risk,
            why: why.to_owned(),
            may_name_an_interface: false,
        }
    }

    #[test]
    fn where_nothing_is_worse_than_stuck_the_devices_are_next() {
        let why = "fab0, which it is bound to, has no carrier";
        let none = Leaves::None {
            why: why.to_owned(),
        };
        let stuck = [socket("0.0.0.0:7001", Risk::Stuck, none, why)];
        let next = "Next: `ip -n card link` shows the devices' state, and `ip -n card neigh` who answers there.";
        let there = Enter::Named("card".into());
        assert_eq!(line_of_next(&stuck, &there), next);
        let pinned = [socket("0.0.0.0:7001", Risk::Pinned, via("fab0"), "")];
        for (sockets, next) in [
            (&pinned[..], "pinif foresee --netns card"),
            (&[], "pinif sockets --netns card"),
        ] {
            let line = line_of_next(sockets, &there);
            assert!(line.starts_with(&format!("Next: `{next}` ")), "{line}");
        }
    }

    fn via(interface: &str) -> Leaves {
        Leaves::Via {
            interface: interface.to_owned(),
            route: None,
            by: None,
            default: false,
        }
    }

    fn shown(columns: usize) -> String {
        let default = "nothing binds it; what has no route of its own leaves via eth1";
        let sockets = vec![
            SurveyedSocket {
                remote: Some("[2001:db8:f::9]:179".to_owned()),
                protocol: "tcp".to_owned(),
                processes: vec![process("bgp\u{1b}d", 812), process("bgpd", 813)],
                ..socket(
                    "[fd00::1]:40001",
                    Risk::Misrouted,
                    Leaves::AnyOf {
                        interfaces: vec!["eth1".to_owned(), "fab0".to_owned()],
                        route: String::new(),
                        default: false,
                    },
                    "fd00::1 is fab0's, and each flow takes one of eth1 or fab0; route 2001:db8:f::/64 in table main",
                )
            },
            socket(
                "0.0.0.0:7003",
                Risk::DefaultRoute,
                Leaves::Any {
                    default: Some("eth1".to_owned()),
                },
                default,
            ),
            SurveyedSocket {
                bound_device: Some("fab0".to_owned()),
                protocol: "raw icmp".to_owned(),
                ..socket("0.0.0.0", Risk::Pinned, via("fab0"), "it is bound to fab0")
            },
        ];
        let all = Survey {
            sockets,
            unlisted_raw: 2,
        };
        let text = render(&all, None, &Enter::Own, Look::PLAIN, Some(columns));
        for line in text.lines() {
            let fits = line.chars().count() <= columns;
            assert!(fits || line.split_whitespace().count() <= 1, "{line}");
        }
        text
    }

    #[test]
    fn sockets_at_sixty_columns() {
        assert_snapshot!(shown(60));
    }

    #[test]
    fn sockets_at_eighty_columns() {
        assert_snapshot!(shown(80));
    }

    #[test]
    fn sockets_at_a_hundred_columns() {
        assert_snapshot!(shown(100));
    }
}
