//! How long it takes from a packet that leaks until Alertmanager's API has the alert: by `pinif serve`, Prometheus and the rules, each second
//! as on the supervisor of a chassis.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pinif_lab::send::index;
use pinif_lab::{Cgroup, Chassis, ServerProcess, free_address};

use super::Plan;
use crate::auditor::{Auditor, PINIF};
use crate::clock;
use crate::leak::{FIRST_USER, leak, socket};
use crate::others::{brought, number};
use crate::report::{Row, Section};
use crate::served::Served;
use crate::statistics::quantile;
use crate::waiting::until;
use crate::web;

/// How many cards leak, each by itself.
const CARDS: usize = 4;
/// How often each leaks in a round.
const LEAKS: usize = 3;
/// How long a finding stays open after its packet: until each scrape in between has seen it. The next alert begins when the last has ended.
const QUIET: &str = "5s";
/// How often Alertmanager is asked.
const ASKED: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(120);
const RULES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../contrib/prometheus/pinif.rules.yml"
);

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, a program is missing, or one ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("alertmanager: the cards");
    let mut cards: Vec<Card> = (0..CARDS).map(|_| Card::new()).collect::<Result<_>>()?;
    let supervisor = Supervisor::start(&cards)?;
    for card in &cards {
        supervisor.until(card, false)?;
    }
    let mut took = Vec::new();
    for round in 0..plan.rounds {
        plan.progress.round("alertmanager", round, plan.rounds);
        let supervisor = &supervisor;
        let rounds: Vec<Result<Vec<[f64; 2]>>> = thread::scope(|scope| {
            let leaking: Vec<_> = cards
                .iter_mut()
                .map(|card| scope.spawn(move || leak_each(card, supervisor)))
                .collect();
            let ended = leaking.into_iter().map(|leaking| {
                let ended = leaking.join().ok().context("a card panicked");
                ended.and_then(|took| took)
            });
            ended.collect()
        });
        for seconds in rounds {
            took.extend(seconds?);
        }
    }
    let row = |what: &str, share: f64| {
        let [line, alert] = [0, 1].map(|of| {
            let mut seconds: Vec<_> = took.iter().map(|took| took[of]).collect();
            seconds.sort_unstable_by(f64::total_cmp);
            quantile(&seconds, share).into_iter().collect()
        });
        [
            Row::new([what, "until the auditor's line"], "s", line),
            Row::new([what, "until the alert"], "s", alert),
        ]
    };
    Ok(vec![Section {
        name: "alertmanager",
        title: "From a packet to Alertmanager",
        about: Some(
            "From before the system call that sends one packet until Alertmanager's API has `PinifLeak`: `pinif serve` asks the auditor each second, Prometheus scrapes each second and looks at the rules each second, and the API is asked a hundred times a second. Four cards in namespaces of one machine, each of which leaks at moments of its own. What calls somebody waits for `group_wait` besides.",
        ),
        columns: vec!["of all", "what"],
        rows: [
            row("p50", 0.5),
            row("p90", 0.9),
            row("p99", 0.99),
            row("the longest", 1.0),
        ]
        .into_iter()
        .flatten()
        .chain([Row::new(
            ["", "packets, each with its alert"],
            "",
            vec![took.len() as f64],
        )])
        .collect(),
    }])
}

/// A card with its auditor, and what answers for it.
struct Card {
    // In the order in which they end.
    served: Served,
    auditor: Auditor,
    _cgroup: Cgroup,
    chassis: Chassis,
    /// Who has leaked last: each leak is another user's, and so a finding of its own.
    user: u32,
    /// The findings that were reported.
    ids: BTreeSet<String>,
}

impl Card {
    fn new() -> Result<Self> {
        let chassis = pinif_lab::chassis()?;
        let cgroup = Cgroup::new("alertmanager")?;
        let mut command = Command::new(PINIF);
        command.env("PINIF_AUDIT_QUIET_AFTER", QUIET);
        let auditor = Auditor::start(command, chassis.card.name(), &cgroup, "")?;
        let none: [&str; 0] = [];
        Ok(Self {
            served: Served::start(auditor.socket(), none)?,
            auditor,
            _cgroup: cgroup,
            chassis,
            user: FIRST_USER,
            ids: BTreeSet::new(),
        })
    }

    /// A packet of a socket that is bound to the backplane leaves by the front port. Returns when it was sent: nanoseconds of
    /// [`clock::now`].
    fn leak(&mut self) -> Result<u64> {
        self.user += 1;
        let user = self.user;
        let sent: io::Result<u64> = self.chassis.card.run(|| {
            let to = SocketAddr::from(([10, 0, 0, 2], 9));
            let socket = socket(user, to, "fab0")?;
            let front = index("eth1")?;
            let before = clock::now();
            leak(&socket, to, front)?;
            Ok(before)
        })?;
        sent.context("cannot leak")
    }

    /// When the line of the next finding that is new was read: nanoseconds of [`clock::now`].
    fn reported(&mut self) -> Result<u64> {
        loop {
            let line = self.auditor.next_line()?;
            let value: serde_json::Value = serde_json::from_str(&line.text)?;
            if value["type"] == "finding" && self.ids.insert(value["id"].to_string()) {
                return Ok(line.read);
            }
        }
    }
}

/// The seconds that each of a card's leaks took until its line was read, and until the alert was there.
fn leak_each(card: &mut Card, supervisor: &Supervisor) -> Result<Vec<[f64; 2]>> {
    (0..LEAKS)
        .map(|_| {
            // At no moment of a second more than at another.
            thread::sleep(Duration::from_secs(1).mul_f64(fastrand::f64()));
            let sent = card.leak()?;
            let seen = supervisor.until(card, true)?;
            let reported = card.reported()?;
            supervisor.until(card, false)?;
            Ok([reported, seen].map(|at| (at - sent) as f64 / 1e9))
        })
        .collect()
}

/// Prometheus and Alertmanager.
struct Supervisor {
    alertmanager: SocketAddr,
    _running: [ServerProcess; 2],
    _folder: tempfile::TempDir,
}

impl Supervisor {
    fn start(cards: &[Card]) -> Result<Self> {
        let programs = brought("PINIF_TEST_PROMETHEUS")?;
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let (prometheus, alertmanager) = (free_address()?, free_address()?);
        let targets: Vec<_> = cards.iter().map(target).collect();
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{RULES}']\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n\
             scrape_configs: [{{job_name: pinif, static_configs: [{{targets: {targets:?}}}]}}]\n"
        );
        fs::write(at("prometheus.yml"), configuration)?;
        let receivers = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
        fs::write(at("alertmanager.yml"), receivers)?;
        let (configuration, data) = (at("alertmanager.yml"), at("alerts"));
        let manager =
            ServerProcess::alertmanager(&programs, &configuration, &data, alertmanager.port())?;
        let manager = manager.listening_at(alertmanager)?;
        let (configuration, data) = (at("prometheus.yml"), at("data"));
        let server =
            ServerProcess::prometheus(&programs, &configuration, &data, prometheus.port())?;
        let supervisor = Self {
            alertmanager,
            _running: [manager, server.listening_at(prometheus)?],
            _folder: folder,
        };
        // It begins to scrape some seconds after its start, and listens before it answers (503).
        until(
            PATIENCE,
            ASKED,
            || Ok(number(prometheus, "count(up==1)")),
            |scraped| matches!(scraped, Ok(Some(number)) if *number == cards.len() as u64),
            |last| format!("not all cards are scraped: {last:?}"),
        )?
        .map(drop)?;
        Ok(supervisor)
    }

    /// Waits until Alertmanager has an alert of a card's leak, or none. Returns when it was asked last: nanoseconds of [`clock::now`].
    fn until(&self, card: &Card, is_there: bool) -> Result<u64> {
        let target = target(card);
        let ask = || -> Result<(u64, Vec<serde_json::Value>)> {
            let alerts = web::get(self.alertmanager, "/api/v2/alerts")?;
            Ok((clock::now(), serde_json::from_str(&alerts)?))
        };
        let is_so = |(_, alerts): &(u64, Vec<serde_json::Value>)| {
            let found = alerts.iter().any(|alert| {
                let labels = &alert["labels"];
                labels["alertname"] == "PinifLeak" && labels["instance"] == *target
            });
            found == is_there
        };
        let (asked, _) = until(PATIENCE, ASKED, ask, is_so, |(_, alerts)| {
            let wrong = if is_there {
                "no alert comes"
            } else {
                "the alert stays"
            };
            format!("{wrong}: {alerts:?}")
        })?;
        Ok(asked)
    }
}

/// What Prometheus asks of a card.
fn target(card: &Card) -> String {
    card.served.address().to_string()
}
