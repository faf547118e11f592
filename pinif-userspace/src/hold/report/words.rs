//! What a pin did, in words.

use super::model::{Interface, PinReport, Trial, Try};
use crate::{
    host::processes::number,
    text::escape::visible,
    text::words::{counted, grouped},
};

/// How many attempts are listed one by one.
const LISTED: usize = 8;

impl PinReport {
    /// The same as lines for a person, safe to show.
    pub fn lines(&self) -> Vec<String> {
        let device = visible(&self.interface);
        let mut lines = vec![format!(
            "{} pinned to {device}",
            counted(self.pinned, "socket")
        )];
        lines.push(self.left());
        lines.extend(self.interfaces.iter().filter_map(Interface::waiting));
        lines.extend(self.dropped());
        lines.extend(self.tried(Trial::Bind));
        lines.extend(self.tried(Trial::Join));
        if self.away != 0 {
            lines.push(format!(
                "{} not made, since there was no interface {device}",
                were(self.away, "socket")
            ));
        }
        if self.elsewhere != 0 {
            lines.push(format!(
                "{} not made in another network namespace than {device}'s",
                were(self.elsewhere, "socket")
            ));
        }
        if self.uncounted != 0 {
            lines.push(format!(
                "{} held to the device, but counted by no interface",
                were(self.uncounted, "packet")
            ));
        }
        lines
    }

    fn left(&self) -> String {
        let mut used: Vec<_> = self
            .interfaces
            .iter()
            .filter(|interface| interface.left() != 0)
            .collect();
        // The device itself comes first.
        used.sort_by_key(|interface| interface.name != self.interface);
        let mut text = String::new();
        for interface in &used {
            text.push_str(&if text.is_empty() {
                format!(
                    "{} left via {}",
                    counted(interface.left(), "packet"),
                    visible(&interface.name)
                )
            } else {
                format!(
                    ", {} via {}",
                    grouped(interface.left()),
                    visible(&interface.name)
                )
            });
        }
        if text.is_empty() {
            text.push_str("no packet left");
        } else if !self.allow_rebind {
            text.push_str(", none via another interface");
        }
        text
    }

    fn dropped(&self) -> Option<String> {
        let dropped: Vec<_> = self
            .interfaces
            .iter()
            .filter(|interface| interface.kept_packets != 0)
            .collect();
        let all: u64 = dropped.iter().map(|interface| interface.kept_packets).sum();
        let text = |interface: &&Interface| match dropped.len() {
            1 => visible(&interface.name).into_owned(),
            _ => format!(
                "{} ({})",
                visible(&interface.name),
                grouped(interface.kept_packets)
            ),
        };
        let names: Vec<_> = dropped.iter().map(text).collect();
        (all != 0).then(|| {
            format!(
                "{} dropped instead of leaving via {}",
                were(all, "packet"),
                names.join(", ")
            )
        })
    }

    fn tried(&self, trial: Trial) -> Option<String> {
        let (refused, what) = match trial {
            Trial::Bind => (self.refused, "bind a socket to something else"),
            Trial::Join => (self.refused_joins, "join a group on another interface"),
        };
        let of_it = self.attempts.iter().filter(|one| one.what == trial);
        let more = of_it.clone().count().saturating_sub(LISTED);
        let mut attempts: Vec<_> = of_it.take(LISTED).map(Try::text).collect();
        if more > 0 {
            attempts.push(format!("and {more} more"));
        }
        (refused != 0).then(|| {
            format!(
                "{} to {what} {} refused: {}",
                counted(refused, "attempt"),
                if refused == 1 { "was" } else { "were" },
                attempts.join("; ")
            )
        })
    }
}

impl Interface {
    fn waiting(&self) -> Option<String> {
        let missing = self.missing();
        let (they, wait, were) = match missing {
            0 => return None,
            1 => ("it", "waits", "was"),
            _ => ("they", "wait", "were"),
        };
        Some(format!(
            "{} did not reach {}: {they} {wait} for a neighbour that does not answer, or {were} dropped before the device",
            counted(missing, "packet"),
            visible(&self.name)
        ))
    }
}

fn were(number: u64, thing: &str) -> String {
    let verb = if number == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(number, thing))
}

impl Try {
    fn text(&self) -> String {
        let to = match (&self.device, self.index) {
            (Some(device), _) => format!("to {}", visible(device)),
            (None, Some(index)) if self.what == Trial::Join => format!("on interface {index}"),
            (None, None) if self.what == Trial::Join => "where the kernel chooses".to_owned(),
            (None, Some(index)) => format!("to interface {index}"),
            (None, None) => "to nothing".to_owned(),
        };
        let times = match self.times {
            1 => String::new(),
            times => format!(", {} times", grouped(times)),
        };
        format!("{} ({}) {to}{times}", visible(&self.comm), number(self.pid))
    }
}

#[cfg(test)]
mod tests {
    use pinif_ebpf::key::IfIndex;

    use super::*;

    fn report() -> PinReport {
        PinReport {
            cgroup: "/cg/pinned".to_owned(),
            interface: "fab0".to_owned(),
            index: Some(3),
            netns_cookie: 1,
            allow_rebind: false,
            pinned: 1,
            away: 0,
            elsewhere: 0,
            interfaces: Vec::new(),
            refused: 0,
            refused_joins: 0,
            attempts: Vec::new(),
            uncounted: 0,
        }
    }

    fn interface(name: &str, packets: u64, kept_packets: u64) -> Interface {
        Interface {
            name: name.to_owned(),
            index: 1,
            packets,
            arrived: None,
            bytes: 0,
            kept_packets,
            kept_bytes: 0,
        }
    }

    #[test]
    fn a_quiet_command_is_two_lines() {
        assert_eq!(
            report().lines(),
            ["1 socket pinned to fab0", "no packet left"]
        );
    }

    #[test]
    fn what_did_not_arrive_did_not_leave() {
        let report = PinReport {
            interfaces: vec![interface("fab0", 3, 0), interface("lo", 2, 0)],
            ..report()
        };
        let arrived = |packets: u64| {
            report
                .clone()
                .with_arrivals(&[(IfIndex(1), packets)].into())
        };
        assert_eq!(
            arrived(0).lines()[1..],
            [
                "no packet left",
                "3 packets did not reach fab0: they wait for a neighbour that does not answer, or were dropped before the device",
                "2 packets did not reach lo: they wait for a neighbour that does not answer, or were dropped before the device",
            ]
        );
        assert_eq!(arrived(0).missing(), 5);
        assert_eq!(
            arrived(2).lines()[1..],
            [
                "2 packets left via fab0, 2 via lo, none via another interface",
                "1 packet did not reach fab0: it waits for a neighbour that does not answer, or was dropped before the device",
            ]
        );
    }

    #[test]
    fn all_that_happened_is_reported() {
        let attempt = Try {
            pid: Some(7),
            comm: "cu\u{1b}rl".to_owned(),
            device: Some("eth1".to_owned()),
            index: None,
            what: Trial::Bind,
            times: 3,
        };
        let unbind = Try {
            device: None,
            times: 1,
            ..attempt.clone()
        };
        let join = Try {
            index: Some(5),
            what: Trial::Join,
            ..unbind.clone()
        };
        let report = PinReport {
            pinned: 2,
            away: 1,
            elsewhere: 2,
            interfaces: vec![
                interface("lo", 2, 0),
                interface("fab0", 1000, 0),
                interface("eth1", 0, 12),
                interface("eth2", 0, 1),
            ],
            refused: 4,
            refused_joins: 1,
            attempts: vec![attempt, unbind, join],
            uncounted: 5,
            ..report()
        };
        assert_eq!(
            report.lines(),
            [
                "2 sockets pinned to fab0",
                "1,000 packets left via fab0, 2 via lo, none via another interface",
                "13 packets were dropped instead of leaving via eth1 (12), eth2 (1)",
                "4 attempts to bind a socket to something else were refused: cu\\x1brl (pid 7) to eth1, 3 times; \
                 cu\\x1brl (pid 7) to nothing",
                "1 attempt to join a group on another interface was refused: cu\\x1brl (pid 7) on interface 5",
                "1 socket was not made, since there was no interface fab0",
                "2 sockets were not made in another network namespace than fab0's",
                "5 packets were held to the device, but counted by no interface",
            ]
        );
    }

    #[test]
    fn where_sockets_may_be_bound_anew_nothing_is_claimed_of_others() {
        let report = PinReport {
            allow_rebind: true,
            interfaces: vec![interface("fab0", 1, 0), interface("eth1", 1, 0)],
            ..report()
        };
        assert_eq!(report.lines()[1], "1 packet left via fab0, 1 via eth1");
    }
}
