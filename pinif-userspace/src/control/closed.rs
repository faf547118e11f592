//! The sockets of a namespace that were closed and that no finding says anything of, for `pinif foresee`.

use std::time::SystemTime;

use axum::http::StatusCode;
use tokio::task::spawn_blocking;

use super::{
    answer::{Answer, Refused, json, problem},
    ask::Collector,
    filter::ClosedFilter,
    protocol::ClosedSockets,
};
use crate::{
    findings::wall_time::WallTime,
    foresee::closed::{ClosedLine, Distinct},
    host::{netns::NetNs, network::Network},
    text::escape::visible,
};

/// Those of the namespace that is asked for; none where it is not audited.
///
/// # Errors
///
/// Why there is no answer.
pub async fn answer(collector: &Collector, filter: &ClosedFilter) -> Result<Answer, Refused> {
    let time = WallTime::from(SystemTime::now()).to_string();
    let mut namespaces = collector.namespaces().await?.into_iter();
    let Some(netns) = namespaces.find(|netns| netns.name == filter.netns) else {
        let sockets = Vec::new();
        return Ok(json(&ClosedSockets { time, sockets }));
    };
    let closed = collector.closed(netns.cookie).await?;
    let closed = closed.map_err(|error| unread(&error))?;
    // Who had them is looked for in /proc, and the names of interfaces are asked of the kernel: beside the audit.
    let lines = spawn_blocking(move || lines(closed, &netns)).await;
    match lines {
        Ok(Ok(sockets)) => Ok(json(&ClosedSockets { time, sockets })),
        Ok(Err(error)) => Err(unread(&error.to_string())),
        Err(error) => Err(unread(&error.to_string())),
    }
}

fn unread(error: &str) -> Refused {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        &visible(error),
        "`pinif doctor` shows what is missing",
    )
    .into()
}

fn lines(closed: Distinct, netns: &NetNs) -> std::io::Result<Vec<ClosedLine>> {
    let links = Network::read(netns)?.links;
    let sockets = closed.sockets().into_iter();
    Ok(sockets.filter_map(|closed| closed.line(&links)).collect())
}
