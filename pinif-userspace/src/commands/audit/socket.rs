//! The control socket of an audit: where it is, and what becomes of an audit without one.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use tokio::{runtime::Handle, sync::mpsc::UnboundedSender};

use crate::{
    collector::plan::Order,
    commands::occasion::occasion,
    control::{Collector, Listening, Server, Sockets, Sources},
    hub::{Hub, Notice},
    policy::Occasion,
    surfaces,
};

/// Makes the socket: at the path that is named, or where clients look. Where only the latter cannot be had, the audit goes on without
/// it: what it finds is shown all the same.
///
/// # Errors
///
/// Why there can be none at the path that is named.
pub(super) fn listen(
    named: Option<PathBuf>,
    none: bool,
) -> Result<(Option<Listening>, Option<Notice>)> {
    if none {
        return Ok((None, None));
    }
    if let Some(path) = named {
        return Ok((Some(Listening::at(&path)?), None));
    }
    Ok(
        match Listening::by_default(occasion() == Occasion::Service) {
            Ok(listening) => (Some(listening), None),
            Err(error) => {
                let error = error.to_string();
                (None, Some(Notice::NotAsked { error }))
            }
        },
    )
}

/// Answers at the socket what is asked of the audit that publishes to this hub, takes these orders, and runs where this is called.
///
/// # Errors
///
/// When no thread can be started.
pub(super) fn serve(
    listening: Listening,
    hub: &Arc<Hub>,
    orders: UnboundedSender<Order>,
) -> Result<Server> {
    let sources = Sources {
        collector: Collector::new(orders),
        hub: Arc::downgrade(hub),
        words: surfaces::words,
        beside: Some(Handle::current()),
        metrics: surfaces::metrics::answer,
        sockets: Sockets::default(),
    };
    Server::start(listening, sources).context("no thread can be started for the control socket")
}
