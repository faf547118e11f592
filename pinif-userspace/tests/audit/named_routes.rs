//! In random networks of rules and tables, the route that a cause names is the one that the packet took: in a copy of the network, its
//! table alone leads to the interface that the packet left by, by just this route, and the kernel's whole answer for what the sender asked
//! has that table. Or the cause says that it does not know.
//!
//! `PINIF_RANDOM_SEEDS=500` looks at so many networks, `PINIF_RANDOM_SEED=7` at the one of this seed, which a failure prints.

use std::process::Command;

use crate::bench::{Bench, scenario};
use crate::random::seeds;
use pinif_lab::{Chassis, chassis};
use pinif_userspace::findings::line::{FindingLine, Subject};

/// How many networks are looked at where nobody asks for more.
const SEEDS: u64 = 12;
/// How many senders there are in each.
const SENDERS: u64 = 8;
/// All that leaves is found.
const POLICY: &str = r#"
[zone.nowhere]
interfaces = ["none0"]

[[rule]]
name = "all"
destination = ["0.0.0.0/0"]
only_via = ["nowhere"]
"#;

const ROUTES: [&str; 8] = [
    "default via 192.0.2.2 dev eth1",
    "default via 10.0.0.2 dev fab0",
    "10.9.0.0/16 via 10.0.0.2 dev fab0",
    "10.9.0.0/16 via 192.0.2.2 dev eth1",
    "203.0.113.0/24 via 10.0.0.2 dev fab0",
    "203.0.113.0/24 via 192.0.2.2 dev eth1 src 10.0.0.1",
    "10.0.0.0/24 dev fab0",
    "10.0.0.0/24 via 192.0.2.2 dev eth1",
];

const SELECTORS: [&str; 17] = [
    "fwmark 7",
    "not fwmark 7",
    "from 10.0.0.1",
    "from 192.0.2.1",
    "to 10.9.0.0/16",
    "to 203.0.113.0/24",
    "from 10.0.0.2",
    "not from 192.0.2.1",
    "uidrange 0-0",
    "uidrange 1000-1999",
    "not uidrange 0-0",
    "iif lo",
    "iif fab0",
    "ipproto udp dport 1-8",
    "ipproto udp dport 9",
    "tos 0x10",
    "from all",
];

/// Random numbers of a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

/// What a sender asks routing for.
#[derive(Clone, Debug)]
struct Sender {
    to: &'static str,
    bind: Option<&'static str>,
    user: u32,
    mark: u32,
    tos: u8,
    raw: bool,
    /// The peer sends it, and the card passes it on.
    is_forwarded: bool,
}

impl Sender {
    fn random(dice: &mut Dice) -> Self {
        Self {
            to: dice.of(&["10.0.0.2", "10.9.0.9", "203.0.113.9"]),
            bind: dice.of(&[None, Some("10.0.0.1"), Some("192.0.2.1")]),
            user: dice.of(&[0, 0, 1000]),
            mark: dice.of(&[0, 0, 7]),
            tos: dice.of(&[0, 0, 16]),
            raw: dice.one_in(4),
            is_forwarded: false,
        }
    }

    fn forwarded(dice: &mut Dice) -> Self {
        Self {
            to: dice.of(&["10.9.0.9", "203.0.113.9"]),
            bind: None,
            user: 0,
            mark: 0,
            raw: false,
            is_forwarded: true,
            ..Self::random(dice)
        }
    }

    fn arguments(&self) -> String {
        let Self { to, mark, tos, .. } = self;
        let bind = self.bind.map(|bind| format!("--bind {bind}"));
        let (kind, port, user) = match self.raw {
            true => ("raw", "", String::new()),
            false => ("udp", ":9", format!("--user {}", self.user)),
        };
        format!(
            "{kind} {user} --mark {mark} --tos {tos} {} --to {to}{port}",
            bind.unwrap_or_default()
        )
    }

    /// The question, as ip-route(8) asks it.
    fn question(&self) -> String {
        let Self { to, mark, tos, .. } = self;
        // A raw socket is root's.
        let (flow, user) = match self.raw {
            true => ("", 0),
            false => ("ipproto udp dport 9", self.user),
        };
        format!(
            "route get fibmatch {to} {} mark {mark} tos {tos:#x} uid {user} {flow}",
            self.from()
        )
    }

    /// Where it comes from, as ip-route(8) asks it.
    fn from(&self) -> String {
        match self.bind {
            _ if self.is_forwarded => "from 10.0.0.2 iif fab0".to_owned(),
            Some(bind) => format!("from {bind}"),
            None => String::new(),
        }
    }
}

/// A route that a cause names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    prefix: String,
    device: String,
    table: String,
    certain: bool,
}

/// The route in a cause's words: `route P [via G] dev D in table T`, or `rule N (…) sent it to table T, whose route P leaves via D`.
fn named(cause: &str) -> Option<Named> {
    let part = cause.split("; ").find(|part| part.contains(" table "))?;
    let certain = !part.starts_with("most likely ");
    let after = |word: &str| {
        let (_, rest) = part.split_once(word)?;
        let end = rest.find([' ', ',']).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    };
    let table = after(" table ")?;
    let is_default = part.contains("default route");
    let prefix = if is_default {
        "0.0.0.0/0".to_owned()
    } else {
        after("route ")?
    };
    let device = after("leaves via ").or_else(|| after(" dev "))?;
    Some(Named {
        prefix,
        device,
        table,
        certain,
    })
}

/// Prefix, device and table of ip-route(8)'s answer.
fn answered(answer: &str) -> Option<(String, String, String)> {
    let mut words = answer.split_whitespace();
    let prefix = match words.next()? {
        "default" => "0.0.0.0/0".to_owned(),
        prefix if prefix.contains('/') => prefix.to_owned(),
        address => format!("{address}/32"),
    };
    let all: Vec<&str> = words.collect();
    let after = |name: &str| {
        let place = all.iter().position(|word| *word == name)?;
        all.get(place + 1).map(|word| (*word).to_owned())
    };
    let table = after("table").unwrap_or("main".to_owned());
    Some((prefix, after("dev")?, table))
}

fn ip(chassis: &Chassis, arguments: &str) -> Option<String> {
    let mut command = Command::new("ip");
    command.args(arguments.split_whitespace());
    let output = chassis.card.run(|| command.output()).expect("the card");
    let output = output.expect("ip");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// The same network, made of the same dice.
fn build(chassis: &Chassis, dice: &mut Dice) -> Vec<String> {
    for setting in ["ip_forward", "conf/all/rp_filter", "conf/fab0/rp_filter"] {
        let value = if setting == "ip_forward" { "1" } else { "0" };
        let key = format!("ipv4/{setting}");
        chassis.card.set_sysctl(&key, value).expect("it is there");
    }
    let mut made = Vec::new();
    let mut make = |line: String| {
        // One that is there already is no other.
        if ip(chassis, &line).is_some() {
            made.push(line);
        }
    };
    for table in 100..103 {
        for _ in 0..1 + dice.below(3) {
            let route = dice.of(&ROUTES);
            make(format!("route add {route} table {table}"));
        }
    }
    for place in 1..=1 + dice.below(5) {
        let (selector, table) = (dice.of(&SELECTORS), 100 + dice.below(3));
        let suppressed = if dice.one_in(5) {
            " suppress_prefixlength 0"
        } else {
            ""
        };
        make(format!(
            "rule add pref {} {selector} lookup {table}{suppressed}",
            place * 10
        ));
    }
    made
}

#[test]
fn the_route_that_is_named_is_the_one_that_was_taken() {
    scenario("30 random routes", &[], |bench| {
        let (mut certain, mut probable, mut unknown) = (0, 0, 0);
        let mut forwarded = 0;
        for seed in seeds(SEEDS) {
            let chassis = chassis().expect("a chassis");
            let copy = pinif_lab::chassis().expect("a copy");
            let made = build(&chassis, &mut Dice(seed * 2 + 1));
            assert_eq!(made, build(&copy, &mut Dice(seed * 2 + 1)));
            let mut dice = Dice(seed * 2 + 0x9e37);
            let mut senders: Vec<Sender> =
                (0..SENDERS).map(|_| Sender::random(&mut dice)).collect();
            senders.push(Sender::forwarded(&mut dice));
            let found = audited(bench, &chassis, &senders);
            for (sender, finding) in senders.iter().zip(&found) {
                let Some(finding) = finding else {
                    continue;
                };
                let context = format!("seed {seed}: {made:#?}\n{sender:?}\n{finding:#?}");
                match named(&finding.cause) {
                    Some(route) => {
                        holds(&copy, sender, finding, &route, &context);
                        forwarded += u64::from(sender.is_forwarded);
                        if route.certain {
                            certain += 1;
                        } else {
                            probable += 1;
                        }
                    }
                    None => {
                        let says_so = finding.cause.contains("most likely")
                            || finding.cause.contains("unknown");
                        assert!(says_so, "{context}");
                        unknown += 1;
                    }
                }
            }
        }
        eprintln!(
            "{certain} routes are certain, {probable} probable, {unknown} unknown; {forwarded} are of forwarded packets"
        );
        assert!(
            certain > 4 * (probable + unknown),
            "{certain} routes are certain, {probable} probable, {unknown} unknown"
        );
        assert!(forwarded > 0, "no route of a forwarded packet is named");
    });
}

/// The finding of each sender, where the kernel let it send.
fn audited(bench: &Bench, chassis: &Chassis, senders: &[Sender]) -> Vec<Option<FindingLine>> {
    let auditor = bench.auditor().policy(POLICY).start_in(&chassis.card);
    // Of a cgroup of its own, so that each has a finding of its own.
    let cgroups: Vec<_> = (0..senders.len())
        .map(|number| bench.cgroup_below(&format!("s{number}")))
        .collect();
    for (sender, cgroup) in senders.iter().zip(&cgroups) {
        let arguments = sender.arguments();
        match sender.is_forwarded {
            true => bench.far_sender(&chassis.peer, &arguments),
            false => bench.sender_below(&chassis.card, cgroup, &arguments),
        }
        .finish();
    }
    let report = auditor.end(
        |pinif| pinif.signal(nix::sys::signal::Signal::SIGTERM),
        Default::default(),
    );
    let of = |name: String| {
        report
            .findings
            .iter()
            .find(|finding| {
                let process = finding.process.as_ref();
                process.and_then(|process| process.cgroup.clone()) == Some(name.clone())
            })
            .cloned()
    };
    let forwarded = |finding: &&FindingLine| {
        let subject = finding.subject.as_ref();
        subject.is_some_and(|subject| matches!(subject, Subject::Forwarded { .. }))
    };
    let each = senders.iter().zip(&cgroups);
    each.map(|(sender, cgroup)| match sender.is_forwarded {
        true => report.findings.iter().find(forwarded).cloned(),
        false => of(cgroup.name()),
    })
    .collect()
}

/// Holds what is named against the copy.
fn holds(copy: &Chassis, sender: &Sender, finding: &FindingLine, route: &Named, context: &str) {
    assert_eq!(route.device, finding.egress_interface, "{context}");
    let Named { prefix, table, .. } = route;
    // The table alone: nothing else is asked.
    let alone = format!("rule add pref 1 lookup {table}");
    ip(copy, &alone).expect("a rule");
    let to = sender.to;
    let from = match sender.is_forwarded {
        true => sender.from(),
        false => String::new(),
    };
    let answer = ip(copy, &format!("route get fibmatch {to} {from}")).unwrap_or_default();
    ip(copy, &format!("rule del pref 1 lookup {table}")).expect("the rule");
    let expected = (prefix.clone(), route.device.clone(), table.clone());
    assert_eq!(
        answered(&answer),
        Some(expected.clone()),
        "{answer}{context}"
    );
    // All rules, with what the sender asked for.
    if route.certain {
        let answer = ip(copy, &sender.question()).unwrap_or_default();
        assert_eq!(answered(&answer), Some(expected), "{answer}{context}");
    }
}
