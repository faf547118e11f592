//! A fleet's database keeps the metrics of a thousand cards.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use pinif_lab::{ServerProcess, free_address};

use super::{CARDS, Plan, card::Card};
use crate::clock;
use crate::others::{self, brought, number};
use crate::report::{Row, Section};
use crate::waiting::until;
use crate::web;

/// How many chassis the cards are in.
const CHASSIS: u64 = 63;
/// The time between two samples of a card, in milliseconds.
const INTERVAL: u64 = 30_000;
/// How long what was sent may take until it is found.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures: each round is a sample of each series of each card.
pub fn measure(plan: &Plan, card: &Card) -> Result<Section> {
    let folder = tempfile::tempdir()?;
    let address = free_address()?;
    let programs = brought("PINIF_TEST_VICTORIA_METRICS")?;
    let database = ServerProcess::victoria_metrics(&programs, folder.path(), address)?;
    let database = database.listening_at(address)?;
    let series = card
        .metrics
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .count() as u64;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let (mut rates, mut busy) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds as u64 {
        plan.progress
            .round("fleet: the database", round as usize, plan.rounds);
        let time = now - (plan.rounds as u64 - round) * INTERVAL;
        let (start, before) = (clock::now(), others::busy(&database)?);
        for number in 0..CARDS {
            let labels = format!(
                "extra_label=chassis=c{}&extra_label=slot={}&extra_label=instance=card{number}:9759",
                number % CHASSIS,
                number / CHASSIS
            );
            let path = format!("/api/v1/import/prometheus?timestamp={time}&{labels}");
            web::post(address, &path, "text/plain", card.metrics.as_bytes())?;
        }
        let seconds = (clock::now() - start) as f64 / 1e9;
        rates.push((series * CARDS) as f64 / seconds);
        busy.push((others::busy(&database)? - before).as_secs_f64());
    }
    let wanted = series * CARDS;
    until(
        PATIENCE,
        Duration::from_millis(500),
        || number(address, r#"count({__name__=~"pinif_.*"}[1h])"#),
        |&there| there == Some(wanted),
        |there| {
            format!(
                "there are {} series instead of {wanted}",
                there.unwrap_or(0)
            )
        },
    )?;
    let [memory, _] = others::memory(&database)?;
    // What is in memory only is written then.
    web::get(address, "/internal/force_flush")?;
    let samples = (series * CARDS * plan.rounds as u64) as f64;
    let share = busy
        .iter()
        .map(|seconds| seconds / (INTERVAL as f64 / 1e3) * 100.0)
        .collect();
    Ok(Section {
        name: "fleet",
        title: "A database keeps the metrics of a fleet",
        about: Some(
            "VictoriaMetrics 1.79, by the text that `pinif serve` answers at `/metrics`, with the labels of a thousand cards, one after the other on a connection of its own. A round is one sample of each series; the share of a processor is what that takes where it comes each 30 seconds. The bytes have the names of all series, which are written once.",
        ),
        columns: vec!["what"],
        rows: vec![
            Row::new(["series of a card"], "", vec![series as f64]),
            Row::new(["series of a thousand"], "", vec![wanted as f64]),
            Row::new(["taken"], "samples/s", rates),
            Row::new(["a sample each 30 s of all"], "% of a processor", share),
            Row::new(["its memory"], "MiB", vec![memory]),
            Row::new(
                ["on its disk"],
                "B a sample",
                vec![bytes(folder.path())? as f64 / samples],
            ),
        ],
    })
}

/// The bytes of all files below a directory.
fn bytes(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    let entries = directory
        .read_dir()
        .with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        // It merges files meanwhile, and some are gone.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        sum += if metadata.is_dir() {
            bytes(&entry.path()).unwrap_or(0)
        } else {
            metadata.len()
        };
    }
    Ok(sum)
}
