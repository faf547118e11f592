//! News of the audited namespaces, in one stream.

use anyhow::Result;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream, SelectAll},
};
use pinif_ebpf::key::NetNsCookie;

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
pub(super) type Changes = SelectAll<BoxStream<'static, (NetNsCookie, News)>>;

/// Watches the namespaces, and tells how each is now, in their order. Within a tokio runtime.
///
/// # Errors
///
/// When a namespace cannot be entered or watched.
pub(super) fn watch(namespaces: &[NetNs]) -> Result<(Vec<Network>, Changes)> {
    let runtime = tokio::runtime::Handle::current();
    let mut networks = Vec::new();
    let mut changes = SelectAll::new();
    for netns in namespaces {
        let (network, watch) = NetworkWatch::open(netns, &runtime)?;
        networks.push(network);
        let cookie = netns.cookie;
        let news = stream::unfold(watch, |mut watch| async {
            let news = next(&mut watch).await;
            Some((news, watch))
        });
        changes.push(news.map(move |news| (cookie, news)).boxed());
    }
    Ok((networks, changes))
}

async fn next(watch: &mut NetworkWatch) -> News {
    loop {
        match watch.next().await {
            Change::Lost => {
                // Where it cannot be read any more, the next news tell why, if any come.
                if let Ok(network) = watch.dump().await {
                    return News::Anew(network);
                }
            }
            change => return News::Change(change),
        }
    }
}
