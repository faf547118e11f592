//! How long a scrape of the metrics takes where there are as many as there may be, and as much as that has gone.

use std::{fs::File, os::fd::AsRawFd as _, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};
use pinif_lab::{Cgroup, Namespace};
use pinif_userspace::control::Client;
use rtnetlink::{
    LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::link::{InfoData, InfoVeth},
};
use tokio::runtime::{Builder, Runtime};

use super::Plan;
use crate::auditor::Auditor;
use crate::clock;
use crate::report::{Row, Section, Target};
use crate::waiting;

/// Couples of namespaces: 200 namespaces.
const COUPLES: usize = 100;
/// Pairs of veths between those of a couple.
const PAIRS: usize = 5;
const VETHS: usize = 2 * COUPLES * PAIRS;
/// With loopback.
const ALL: usize = VETHS + 2 * COUPLES;
/// What they send when they come up, for the groups of their addresses (MLD, neighbour discovery), is found: a finding or some of each.
const POLICY: &str = "[zone.none]\ninterfaces = [\"none\"]\n\n[[rule]]\nname = \"groups\"\ndestination = [\"ff00::/8\"]\nonly_via = [\"none\"]\n";
/// A snapshot is this old at most: the next scrape has a new one made.
const SNAPSHOT: Duration = Duration::from_millis(1_100);
/// How long the interfaces may take until they have sent, and until they are gone.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    let cgroup = Cgroup::new("metrics")?;
    let glob = format!("pinif-{}-*-metrics", std::process::id());
    let auditor = Auditor::of_names(&glob, &cgroup, POLICY)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let scraped = || scrape(&runtime, auditor.socket());
    // From the first scrape on, there are counters.
    scraped()?;
    let audited = |text: &str| sum(text, "pinif_interfaces{");
    let found = |text: &str| sum(text, "pinif_findings_opened_total{");
    plan.progress.say("metrics: those that go");
    let gone = generation()?;
    until(scraped, |text| audited(text) == ALL)?;
    set_up(&gone)?;
    until(scraped, |text| found(text) >= VETHS)?;
    drop(gone);
    until(scraped, |text| audited(text) == 0)?;
    plan.progress.say("metrics: those that stay");
    let there = generation()?;
    until(scraped, |text| audited(text) == ALL)?;
    set_up(&there)?;
    until(scraped, |text| found(text) >= 2 * VETHS)?;
    let (mut took, mut lines, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        plan.progress.round("metrics", round, plan.rounds);
        thread::sleep(SNAPSHOT);
        let (milliseconds, text) = scraped()?;
        took.push(milliseconds);
        lines.push(series(&text).count() as f64);
        findings.push(sum(&text, "pinif_findings{") as f64);
    }
    let machine = "200 namespaces, 1,000 veths, as many gone";
    let row = |what: &str, unit, figures| Row::new([machine, what], unit, figures);
    let at_most = |most, row| Row {
        target: Some(Target::AtMost(most)),
        ..row
    };
    Ok(vec![Section {
        name: "metrics",
        title: "A scrape of the metrics",
        about: Some(
            "Over the control socket, with the snapshot that is made for it: from the request to the last byte.",
        ),
        columns: vec!["machine", "what"],
        rows: vec![
            at_most(100.0, row("a scrape", "ms", took)),
            at_most(2_000.0, row("series", "", lines)),
            row("findings", "", findings),
        ],
    }])
}

/// Namespaces in couples, with what is between them.
fn generation() -> Result<Vec<Namespace>> {
    let mut all = Vec::new();
    for _ in 0..COUPLES {
        let couple = [Namespace::new("metrics")?, Namespace::new("metrics")?];
        let [one, other] = &couple;
        for netns in &couple {
            // Each interface has an address by itself, and reports the group of that.
            netns.set_sysctl("ipv6/conf/default/addr_gen_mode", "0")?;
        }
        let far = File::open(other.path())?;
        one.netlink(async |handle| {
            for pair in 0..PAIRS {
                let name = format!("veth{pair}");
                let end = LinkMessageBuilder::<LinkUnspec>::new().name(name.clone());
                let end = end.setns_by_fd(far.as_raw_fd()).build();
                let pair = LinkMessageBuilder::<LinkVeth>::new(&name, "")
                    .set_info_data(InfoData::Veth(InfoVeth::Peer(end)))
                    .build();
                handle.link().add(pair).execute().await?;
            }
            Ok(())
        })?;
        all.extend(couple);
    }
    Ok(all)
}

/// Has all of them send, once they are audited.
fn set_up(all: &[Namespace]) -> Result<()> {
    for netns in all {
        for pair in 0..PAIRS {
            netns.set_up(&format!("veth{pair}"))?;
        }
    }
    Ok(())
}

/// Scrapes until it is so.
fn until(scraped: impl Fn() -> Result<(f64, String)>, is_so: impl Fn(&str) -> bool) -> Result<()> {
    let wrong = |(_, text): &(f64, String)| {
        format!(
            "{} interfaces and {} findings, and it waits for others",
            sum(text, "pinif_interfaces{"),
            sum(text, "pinif_findings_opened_total{")
        )
    };
    waiting::until(PATIENCE, SNAPSHOT, scraped, |(_, text)| is_so(text), wrong)?;
    Ok(())
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

/// The sum of the values of a family.
fn sum(text: &str, family: &str) -> usize {
    let all = series(text).filter(|line| line.starts_with(family));
    let values = all.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok());
    values.sum()
}
