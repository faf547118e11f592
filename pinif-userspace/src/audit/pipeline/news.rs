//! News of the audited namespaces, all on one channel.

use anyhow::Result;
use pinif_ebpf::key::NetNsCookie;
use tokio::sync::mpsc;

use crate::host::{
    netns::NetNs,
    network::{Change, Network, NetworkWatch},
};

/// What happened in a namespace.
pub(super) enum News {
    /// One change.
    Change(Change),
    /// More than could be followed: this is how it is now.
    Anew(Network),
}

/// The news, each with its namespace.
pub(super) type Changes = mpsc::UnboundedReceiver<(NetNsCookie, News)>;

/// Watches the namespaces, and tells how each is now, in their order.
///
/// # Errors
///
/// When a namespace cannot be entered or watched.
pub(super) fn watch(namespaces: &[NetNs]) -> Result<(Vec<Network>, Changes)> {
    let (sender, changes) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Handle::current();
    let mut networks = Vec::new();
    for netns in namespaces {
        let (network, watch) = NetworkWatch::open(netns, &runtime)?;
        networks.push(network);
        runtime.spawn(follow(netns.cookie, watch, sender.clone()));
    }
    Ok((networks, changes))
}

async fn follow(
    netns: NetNsCookie,
    mut watch: NetworkWatch,
    sender: mpsc::UnboundedSender<(NetNsCookie, News)>,
) {
    loop {
        let news = match watch.next().await {
            Change::Lost => match watch.dump().await {
                Ok(network) => News::Anew(network),
                // The namespace cannot be read any more; the next news tell why, if any come.
                Err(_) => continue,
            },
            change => News::Change(change),
        };
        if sender.send((netns, news)).is_err() {
            return;
        }
    }
}
