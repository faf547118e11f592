//! NetlinkEvent of the audited namespaces, in one stream.

use anyhow::Result;
use futures::{
    StreamExt as _,
    stream::{self, AbortHandle, BoxStream, SelectAll},
};
use pinif_ebpf::key::NetNsCookie;

use crate::host::{
    netns::NetNs,
    network::{Change, Network, NetworkWatch},
};

/// What happened in a namespace.
pub(super) enum NetlinkEvent {
    /// One change.
    Change(Change),
    /// More than could be followed: this is how it is now.
    Anew(Network),
}

/// The news, each with its namespace.
pub(super) type NetlinkEvents = SelectAll<BoxStream<'static, (NetNsCookie, NetlinkEvent)>>;

/// A namespace whose news are among the others, until this is dropped.
pub(super) struct Followed(AbortHandle);

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Puts a namespace's news among the others, and tells how it is now. Within a tokio runtime.
///
/// # Errors
///
/// When the namespace cannot be entered or watched.
pub(super) fn follow(netns: &NetNs, changes: &mut NetlinkEvents) -> Result<(Network, Followed)> {
    let runtime = tokio::runtime::Handle::current();
    let (network, watch) = NetworkWatch::open(netns, &runtime)?;
    let cookie = netns.cookie;
    let news = stream::unfold(watch, |mut watch| async {
        let news = next(&mut watch).await;
        Some((news, watch))
    });
    let (news, handle) = stream::abortable(news.map(move |news| (cookie, news)));
    changes.push(news.boxed());
    Ok((network, Followed(handle)))
}

async fn next(watch: &mut NetworkWatch) -> NetlinkEvent {
    loop {
        match watch.next().await {
            Change::Lost => {
                // Where it cannot be read any more, the next news tell why, if any come.
                if let Ok(network) = watch.dump().await {
                    return NetlinkEvent::Anew(network);
                }
            }
            change => return NetlinkEvent::Change(change),
        }
    }
}
