//! How long a scrape of the metrics takes where there are as many as there may be.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use pinif_lab::{Cgroup, Namespace};
use pinif_userspace::control::Client;
use rtnetlink::{LinkMessageBuilder, LinkVeth};
use tokio::runtime::{Builder, Runtime};

use super::Plan;
use crate::auditor::Auditor;
use crate::clock;
use crate::report::{Row, Section, Target};

/// Pairs of interfaces. Each interface sends what IPv6 has it send when it comes up, and so has a counter, as far as there is room for
/// them (docs/metrics.md).
const PAIRS: usize = 500;
/// The counters by interface that there are at most.
const MOST: usize = 985;
/// A snapshot is this old at most: the next scrape has a new one made.
const SNAPSHOT: Duration = Duration::from_millis(1_100);
/// How long the interfaces may take until they have sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("metrics: building");
    let (netns, cgroup) = (Namespace::new("metrics")?, Cgroup::new("metrics")?);
    // Each has an address by itself, and reports the group of that (MLD).
    netns.set_sysctl("ipv6/conf/default/addr_gen_mode", "0")?;
    netns.netlink(async |handle| {
        for number in 0..PAIRS {
            let (one, other) = (format!("one{number}"), format!("other{number}"));
            let pair = LinkMessageBuilder::<LinkVeth>::new(&one, &other).build();
            handle.link().add(pair).execute().await?;
        }
        Ok(())
    })?;
    let auditor = Auditor::plain(&netns, &cgroup, "")?;
    let socket = PathBuf::from(format!("/run/pinif/pinif-{}.sock", auditor.pid()));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // From the first scrape on, there are counters.
    scrape(&runtime, &socket)?;
    for number in 0..PAIRS {
        for end in ["one", "other"] {
            netns.set_up(&format!("{end}{number}"))?;
        }
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let counters = by_interface(&scrape(&runtime, &socket)?.1);
        if counters >= MOST {
            break;
        }
        ensure!(
            Instant::now() < end,
            "{counters} counters, and not {MOST}: not all interfaces have sent"
        );
        thread::sleep(SNAPSHOT);
    }
    let (mut took, mut lines) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        plan.progress.round("metrics", round, plan.rounds);
        thread::sleep(SNAPSHOT);
        let (milliseconds, text) = scrape(&runtime, &socket)?;
        took.push(milliseconds);
        lines.push(series(&text).count() as f64);
    }
    let row = |what: &str, unit, figures, most| Row {
        target: Some(Target::AtMost(most)),
        ..Row::new(["1,000 interfaces", what], unit, figures)
    };
    Ok(vec![Section {
        name: "metrics",
        title: "A scrape of the metrics",
        about: Some(
            "Over the control socket, with the snapshot that is made for it: from the request to the last byte.",
        ),
        columns: vec!["machine", "what"],
        rows: vec![
            row("a scrape", "ms", took, 100.0),
            row("series", "", lines, 2_000.0),
        ],
    }])
}

/// How many milliseconds a scrape took, and its text.
fn scrape(runtime: &Runtime, socket: &Path) -> Result<(f64, String)> {
    let mut client = Client::find(Some(socket))?;
    let start = clock::now();
    let text = runtime
        .block_on(client.metrics())
        .context("pinif gives no metrics")?;
    Ok(((clock::now() - start) as f64 / 1e6, text))
}

fn series(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

fn by_interface(text: &str) -> usize {
    let all = series(text);
    all.filter(|line| line.starts_with("pinif_interface_packets_total{"))
        .count()
}
