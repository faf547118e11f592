//! What running auditors have seen of a namespace: sockets that are made for each request, and that nobody finds who looks.

use std::time::Duration;

use anyhow::Result;
use tokio::time::timeout;

use crate::{
    commands::asking::{Asked, run},
    control::{Client, ClientError, FindingsFilter},
    foresee::{Original, seen},
    survey::Owned,
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many findings are asked for at a time, and how often.
const PAGE: u32 = 250;
const PAGES: usize = 40;

/// The sockets of the findings of the auditor that is named, or of all that run: those of the latest ones.
///
/// # Errors
///
/// Why the one that is named gives no answer. Of the others, one that ends or begins meanwhile has seen nothing.
pub(super) fn seen_by_auditors(asked: &Asked, original: &Original) -> Result<Vec<Owned>> {
    let clients = asked.all();
    if clients.is_empty() {
        return Ok(Vec::new());
    }
    run(async {
        let mut all = Vec::new();
        for mut client in clients {
            match seen_by(&mut client, original).await {
                Ok(seen) => all.extend(seen),
                Err(error) if asked.is_named() => return Err(error),
                Err(error) => log::debug!("{}: {error:#}", client.path().display()),
            }
        }
        Ok(all)
    })
}

async fn seen_by(client: &mut Client, original: &Original) -> Result<Vec<Owned>> {
    let mut filter = FindingsFilter {
        netns: Some(globset::escape(&original.netns.name)),
        limit: Some(PAGE),
        ..FindingsFilter::default()
    };
    let mut all = Vec::new();
    for _ in 0..PAGES {
        let page = timeout(PATIENCE, client.findings(&filter)).await;
        let page = page.map_err(|_| ClientError::Silent(client.path().to_owned()))??;
        for finding in &page.findings {
            all.extend(seen::of_line(finding, &original.network.links));
        }
        let surplus = all.len().saturating_sub(seen::MOST);
        all.drain(..surplus);
        filter.from = page.next;
        if filter.from.is_none() {
            break;
        }
    }
    Ok(all)
}
