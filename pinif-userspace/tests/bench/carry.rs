//! Remedies carried out: what pinif printed, and just that.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pinif_userspace::findings::explain::{SocketOption, Step, Who};
use pinif_userspace::findings::line::FindingLine;

use super::{Bench, Need, SENDER, arrivals::Arrivals, scenario};

/// How many datagrams it sends.
pub const COUNT: u64 = 10;

/// A mistake that somebody makes, the finding that comes of it, and what each of its remedies must come to.
pub struct Mistake {
    /// The scenario's name.
    pub name: &'static str,
    /// What the machine must have.
    pub needs: &'static [Need],
    /// The kind of the finding.
    pub kind: &'static str,
    /// Words that the cause has in it; all of it, behind an equals sign. How sure it is belongs to it.
    pub cause: &'static str,
    /// The policy.
    pub policy: Option<&'static str>,
    /// How many packets the finding has; none says that it is at least one.
    pub packets: Option<u64>,
    /// The card asks for whoever has the destination: what it sends waits for the answer, and leaves by the front port.
    pub asks: bool,
    /// What is made of the chassis.
    pub make: fn(&Bench),
    /// What the world does once a remedy's commands have run.
    pub meanwhile: fn(&Bench),
    /// Who sends.
    pub from: From,
    /// The sender's arguments: ten datagrams.
    pub sends: &'static str,
    /// Each remedy, in order.
    pub remedies: Vec<Wanted>,
}

impl Mistake {
    /// What a program on the card sends, whose finding is of this kind; with nothing made for it, and no remedies yet.
    pub const fn of(kind: &'static str, name: &'static str, sends: &'static str) -> Self {
        Self {
            name,
            needs: &[Need::Program("nft")],
            kind,
            cause: "",
            policy: None,
            packets: Some(COUNT),
            asks: false,
            make: |_| (),
            meanwhile: |_| (),
            from: From::Card,
            sends,
            remedies: Vec::new(),
        }
    }
}

/// Who sends what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A program on the card, which `pinif run` may start.
    Card,
    /// The peer, whose packets the card forwards or answers.
    Peer,
    /// The world, whose packets the card answers.
    Outside,
}

/// A remedy that a finding must have.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Who can do it.
    pub who: Who,
    /// How its text begins.
    pub text: &'static str,
    /// What comes of it.
    pub then: Then,
}

/// What comes of a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// All arrives at the peer.
    Peer,
    /// All arrives outside.
    Outside,
    /// It is no datagram of a program: all leaves by this link.
    By(&'static str),
    /// Nothing arrives: it was dropped or refused, where it can go nowhere else.
    Nowhere,
    /// The program ends with this error, and sends nothing.
    Fails(&'static str),
    /// It is nothing that a machine can do by itself.
    Words,
}

/// A remedy of whoever runs the host.
pub const fn operator(text: &'static str, then: Then) -> Wanted {
    Wanted {
        who: Who::Operator,
        text,
        then,
    }
}

/// A remedy of whoever can change the program.
pub const fn developer(text: &'static str, then: Then) -> Wanted {
    Wanted {
        who: Who::Developer,
        text,
        then,
    }
}

impl Mistake {
    /// Makes the mistake and carries out each remedy of its finding, each in a chassis of its own.
    pub fn is_fixed(&self) {
        for (number, wanted) in self.remedies.iter().enumerate() {
            let name = format!("{} remedy {}", self.name, number + 1);
            scenario(&name, self.needs, |bench| self.fixed(bench, number, wanted));
        }
    }

    /// Makes the mistake once, and carries out each remedy of its finding in the same chassis: those first that change nothing of it, then
    /// the others from the last to the first, since what is said first is to hold whatever else was done.
    pub fn is_fixed_by_each(&self) {
        scenario(self.name, self.needs, |bench| {
            let finding = self.as_wanted(bench);
            let steps = finding.remedies.iter().zip(&self.remedies);
            let steps = steps.filter(|(_, wanted)| wanted.then != Then::Words);
            let changes = |step: &Step| {
                let mut lines = step.commands.iter();
                lines.any(|line| !line.ends_with(" -- COMMAND"))
            };
            let (later, first): (Vec<_>, Vec<_>) = steps.partition(|(step, _)| changes(step));
            for (step, wanted) in first.into_iter().chain(later.into_iter().rev()) {
                self.then(bench, step, wanted.then);
            }
        });
    }

    fn fixed(&self, bench: &Bench, number: usize, wanted: &Wanted) {
        let finding = self.as_wanted(bench);
        if wanted.then != Then::Words {
            self.then(bench, &finding.remedies[number], wanted.then);
        }
    }

    /// Makes the mistake. Its finding has the remedies that are wanted.
    fn as_wanted(&self, bench: &Bench) -> FindingLine {
        (self.make)(bench);
        let finding = self.found(bench);
        let steps = &finding.remedies;
        let is = |step: &Step, wanted: &Wanted| {
            step.who == wanted.who && on_card(&finding, &step.text).starts_with(wanted.text)
        };
        let all = &self.remedies;
        assert!(
            steps.len() == all.len() && steps.iter().zip(all).all(|(step, one)| is(step, one)),
            "the remedies are others: {steps:#?}"
        );
        let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
        assert_eq!(finding.remedy, texts.join(", or "));
        finding
    }

    /// The one finding that comes of the mistake.
    fn found(&self, bench: &Bench) -> FindingLine {
        let auditor = bench.auditor();
        let auditor = match self.policy {
            Some(policy) => auditor.policy(policy),
            None => auditor,
        };
        let auditor = auditor.start();
        let arrived = Arrivals::at(bench);
        self.send(bench, self.sends, None, "eth1");
        if self.asks {
            arrived.wait_for_outside(COUNT);
        }
        drop(arrived);
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("there must be one finding\n{report}");
        };
        assert_eq!(finding.kind.name(), self.kind, "{report}");
        if let Some(packets) = self.packets {
            assert_eq!(finding.packets, packets, "{report}");
        }
        let is_it = match self.cause.strip_prefix('=') {
            Some(whole) => finding.cause == whole,
            None => finding.cause.contains(self.cause),
        };
        let is_sure = |cause: &str| !cause.contains("most likely ");
        assert!(
            is_it && is_sure(&finding.cause) == is_sure(self.cause),
            "{}",
            finding.cause
        );
        finding.clone()
    }

    /// Carries out a remedy: there is no finding any more, no other, and what can arrive does.
    fn then(&self, bench: &Bench, step: &Step, then: Then) {
        let mut sends = self.sends.to_owned();
        for option in &step.options {
            sends = set(&sends, option);
        }
        let mut starts = None;
        for line in &step.commands {
            if line.ends_with(" -- COMMAND") {
                starts = Some(line.as_str());
            } else {
                bench.shell(line);
            }
        }
        (self.meanwhile)(bench);
        assert!(
            !(step.options.is_empty() && step.commands.is_empty()),
            "it cannot be carried out: {step:#?}"
        );
        let auditor = bench.auditor();
        let auditor = match self.policy {
            Some(policy) => auditor.policy(policy),
            None => auditor,
        };
        let auditor = auditor.start();
        let arrivals = Arrivals::at(bench);
        let by = match then {
            Then::By(link) => link,
            _ => "eth1",
        };
        match (then, starts) {
            (Then::Fails(error), Some(line)) => {
                let failed = bench.shell_output(&started(line, &sends));
                let said = String::from_utf8_lossy(&failed.stderr);
                assert!(
                    !failed.status.success() && said.contains(error),
                    "{failed:?}"
                );
            }
            _ => self.send(bench, &sends, starts, by),
        }
        let (peer, outside) = match then {
            Then::Peer => (COUNT, 0),
            Then::Outside => (0, COUNT),
            Then::Nowhere | Then::Words | Then::By(_) | Then::Fails(_) => (0, 0),
        };
        arrivals.are(peer, outside, step);
        let report = auditor.stop();
        if let Then::By(link) = then {
            let sent = report.sent_by(link).packets;
            assert!(
                sent >= self.packets.unwrap_or(1),
                "after {step:#?}\n{report}"
            );
        }
        assert!(
            report.findings.is_empty() && report.status.success(),
            "after {step:#?}\n{report}"
        );
    }

    fn send(&self, bench: &Bench, sends: &str, starts: Option<&str>, by: &str) {
        match (self.from, starts) {
            (From::Peer, _) => {
                bench.far_sender(&bench.chassis.peer, sends).finish();
            }
            (From::Outside, _) => {
                bench.far_sender(&bench.chassis.outside, sends).finish();
            }
            // The kernel reports twice that the group is joined, and twice that it is left (RFC 3376, 8.1: the robustness is 2).
            (From::Card, None) if sends.starts_with("groups ") => {
                let sent = bench.card().sent(by).expect("it is there").packets;
                let mut sender = bench.sender(&format!("{sends} --stay"));
                sender.wait_for("joined");
                bench.wait_until_sent(by, sent + 2);
                sender.go_and_finish();
                bench.wait_until_sent(by, sent + 4);
            }
            (From::Card, None) => {
                bench.send(sends);
            }
            (From::Card, Some(line)) => {
                bench.shell(&started(line, sends));
            }
        }
    }
}

/// A remedy's line that starts the program, which is the sender with these arguments.
pub fn started(line: &str, sends: &str) -> String {
    line.replace("COMMAND", &format!("{} {sends}", *SENDER))
}

/// A sender's arguments, with a socket option set as a remedy says.
pub fn set(sends: &str, option: &SocketOption) -> String {
    let flags: &[&str] = match option.name.as_str() {
        // It stays bound.
        "SO_BINDTODEVICE" => &[
            "--bind-device",
            "--unbind-after",
            "--rebind",
            "--rebind-after",
        ],
        "bind" => &["--bind"],
        // What the kernel takes the interface from, whichever it was.
        "IP_PKTINFO" | "IP_UNICAST_IF" | "IP_MULTICAST_IF" | "IPV6_PKTINFO" | "IPV6_UNICAST_IF"
        | "IPV6_MULTICAST_IF" => &[
            "--pktinfo",
            "--unicast-if",
            "--multicast-if",
            "--multicast-address",
            "--scope",
        ],
        "sin6_scope_id" => &["--scope"],
        "sll_ifindex" => &["--device"],
        "IP_ADD_MEMBERSHIP" | "IPV6_ADD_MEMBERSHIP" => &["--interface"],
        other => panic!("the sender has no {other}"),
    };
    let mut words: Vec<&str> = sends.split_whitespace().collect();
    let mut had = None;
    for flag in flags {
        if let Some(place) = words.iter().position(|word| word == flag) {
            had = had.or(Some(words[place]));
            words.drain(place..place + 2);
        }
    }
    if let Some(value) = &option.value {
        words.extend([had.unwrap_or(flags[0]), value]);
    }
    words.join(" ")
}

/// A text of a finding as it would be if pinif stood on the card: its commands are for that namespace, and say so.
pub fn on_card(finding: &FindingLine, text: &str) -> String {
    let netns = &finding.netns;
    text.replace(&format!("ip -n {netns} "), "ip ")
        .replace(&format!("ip netns exec {netns} "), "")
        .replace(&format!(" --netns {netns} "), " ")
}

impl Bench {
    /// Runs a line of a shell in the audited cgroup, as an operator would where pinif runs, which is not on the card; it must succeed.
    pub fn shell(&self, line: &str) {
        let output = self.shell_output(line);
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The same, whatever comes of it.
    pub fn shell_output(&self, line: &str) -> Output {
        let programs = Path::new(env!("CARGO_BIN_EXE_pinif"))
            .parent()
            .expect("a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-ec", r#"echo 0 > "$0/cgroup.procs"; eval "$1""#])
            .arg(self.cgroup_path())
            .arg(line)
            .env("PATH", format!("{}:{path}", programs.display()))
            .stdin(Stdio::null());
        command.output().expect("a shell")
    }

    /// Takes an address that everybody is to be able to answer from the far end's list of neighbours.
    pub fn knows(&self, link: &str, neighbour: &str) {
        let far = match link {
            "fab0" => (&self.chassis.peer, "fab0"),
            _ => (&self.chassis.outside, "eth0"),
        };
        let address: IpAddr = neighbour.parse().expect("an address");
        let mac = far.0.mac(far.1).expect("it is there");
        self.card()
            .add_neighbour(link, address, &mac)
            .expect("a neighbour");
    }
}
