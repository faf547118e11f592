//! What running auditors have seen of a namespace: sockets that are made for each request, and that nobody finds who looks.

use std::time::Duration;

use anyhow::Result;
use tokio::time::timeout;

use crate::{
    commands::asking::{Asked, run},
    control::{Client, ClientError, ClosedFilter, FindingsFilter},
    foresee::{Original, closed::Closed, seen},
    survey::Owned,
    text::escape::visible_path,
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many findings are asked for at a time, and how often.
const PAGE: u32 = 250;
const PAGES: usize = 40;

/// Who was asked, and what they have seen.
#[derive(Debug, Default)]
pub(super) struct SeenByAuditors {
    /// Those of findings, and those that no finding says anything of.
    pub sockets: Vec<Owned>,
    /// Who answered: where each listens.
    pub asked: Vec<String>,
    /// Why others did not.
    pub unasked: Vec<String>,
}

/// The sockets that the auditor has seen that is named, or all that run: of the latest findings, and those that were contained and closed.
///
/// # Errors
///
/// Why the one that is named gives no answer.
pub(super) fn seen_by_auditors(asked: &Asked, original: &Original) -> Result<SeenByAuditors> {
    let clients = asked.all();
    if clients.is_empty() {
        return Ok(SeenByAuditors::default());
    }
    run(async {
        let mut all = SeenByAuditors::default();
        for mut client in clients {
            match seen_by(&mut client, original).await {
                Ok(seen) => {
                    all.sockets.extend(seen);
                    all.asked.push(visible_path(client.path()).to_string());
                }
                Err(error) if asked.is_named() => return Err(error.into()),
                // It ended meanwhile.
                Err(error) if error.has_ended() => {}
                Err(error) => all.unasked.push(error.to_string()),
            }
        }
        Ok(all)
    })
}

async fn seen_by(client: &mut Client, original: &Original) -> Result<Vec<Owned>, ClientError> {
    let mut all = of_findings(client, original).await?;
    let filter = ClosedFilter {
        netns: original.netns.name.clone(),
    };
    let closed = timeout(PATIENCE, client.closed(&filter)).await;
    let closed = closed.map_err(|_| ClientError::Silent(client.path().to_owned()))??;
    let closed = closed.sockets.into_iter();
    let closed = closed.filter_map(|line| Closed::of_line(line, &original.network.links));
    all.extend(closed.map(Closed::owned));
    Ok(all)
}

async fn of_findings(client: &mut Client, original: &Original) -> Result<Vec<Owned>, ClientError> {
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
