//! A collector of OpenTelemetry that others wrote takes a million findings of a thousand cards.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use pinif_lab::{ServerProcess, free_address};

use super::{
    CARDS, FINDINGS, Plan,
    card::{Card, PER_CARD},
    messages::Messages,
};
use crate::clock;
use crate::others::{self, brought};
use crate::report::{Row, Section};
use crate::web;

/// How many cards send at once.
const AT_ONCE: usize = 4;
const CONTENT: &str = "application/x-protobuf";

/// What a round took.
struct Round {
    records: f64,
    bytes: f64,
    seconds: f64,
    busy: f64,
}

/// Measures: all rounds together are all findings.
pub fn measure(plan: &Plan, card: &Card) -> Result<Section> {
    let (address, other) = (free_address()?, free_address()?);
    let mut command = Command::new(brought("PINIF_TEST_ROTEL")?);
    command
        .args(["start", "--otlp-http-endpoint", &address.to_string()])
        .args(["--otlp-grpc-endpoint", &other.to_string()])
        // It takes all in, and passes nothing on.
        .args(["--exporter", "blackhole"]);
    let collector = ServerProcess::start(&mut command)?.listening_at(address)?;
    let messages = FINDINGS.div_ceil(PER_CARD as u64);
    let per_round = messages.div_ceil(plan.rounds as u64);
    // Made beforehand: this is no time of the collector's.
    let mut senders = (0..AT_ONCE)
        .map(|_| Messages::of(&card.message))
        .collect::<Result<Vec<_>>>()?;
    let mut rounds = Vec::new();
    for round in 0..plan.rounds {
        plan.progress
            .round("fleet: the collector", round, plan.rounds);
        let first = round as u64 * per_round;
        let (start, busy) = (clock::now(), others::busy(&collector)?);
        let bytes = send(&mut senders, address, first, per_round)?;
        rounds.push(Round {
            records: (per_round * PER_CARD as u64) as f64,
            bytes: bytes as f64,
            seconds: (clock::now() - start) as f64 / 1e9,
            busy: (others::busy(&collector)? - busy).as_secs_f64(),
        });
    }
    let [_, memory] = others::memory(&collector)?;
    let sent: f64 = rounds.iter().map(|round| round.records).sum();
    let row = |what: &str, unit, figure: fn(&Round) -> f64| {
        Row::new([what], unit, rounds.iter().map(figure).collect())
    };
    Ok(Section {
        name: "fleet",
        title: "A collector takes the findings of a fleet",
        about: Some(
            "rotel 0.0.1a15 with its exporter `blackhole`: it decodes, batches, and passes nothing on. Four senders on the same machine, a connection for each message of 256 records, as `pinif serve` sends; the collector's own processor time is what a machine of its own would need.",
        ),
        columns: vec!["what"],
        rows: vec![
            Row::new(["findings in all, of a thousand cards"], "", vec![sent]),
            row("taken", "records/s", |round| round.records / round.seconds),
            row("taken", "MiB/s", |round| {
                round.bytes / f64::from(1 << 20) / round.seconds
            }),
            row("the collector's processor time", "µs a record", |round| {
                round.busy / round.records * 1e6
            }),
            Row::new(["its memory, at most"], "MiB", vec![memory]),
        ],
    })
}

/// Sends so many messages, each in the name of the next card. Returns how many bytes they were.
fn send(senders: &mut [Messages], to: SocketAddr, first: u64, number: u64) -> Result<u64> {
    let at_once = senders.len();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..)
            .zip(senders)
            .map(|(sender, messages)| {
                scope.spawn(move || {
                    let mut bytes = 0;
                    for place in (sender..number).step_by(at_once) {
                        // Each card has its turn.
                        let number = first + place;
                        let message = messages.named(number % CARDS, number);
                        web::post(to, "/v1/logs", CONTENT, message)?;
                        bytes += message.len() as u64;
                    }
                    Ok(bytes)
                })
            })
            .collect();
        let sent = senders.into_iter().map(|sender| {
            let sent: Result<u64> = sender.join().ok().context("a sender panicked")?;
            sent
        });
        sent.sum()
    })
}
