//! The netlink events of the audited namespaces, in one stream.

use anyhow::Result;
use futures::{
    StreamExt as _,
    stream::{self, AbortHandle, BoxStream, SelectAll},
};
use pinif_ebpf::key::NetNsCookie;

use crate::host::{
    netns::NetNs,
    network::{Change, Network, NetworkWatch},
    qdisc_watch::QdiscWatch,
};
use crate::kernel::mode::Mode;

/// What happened in a namespace.
pub(super) enum NetlinkEvent {
    /// One change.
    Change(Change),
    /// More than could be followed: this is how it is now.
    Anew(Network),
    /// Queueing disciplines or their filters are changed.
    Filters,
}

/// The events, each with its namespace.
pub(super) type NetlinkEvents = SelectAll<BoxStream<'static, (NetNsCookie, NetlinkEvent)>>;

/// A namespace whose events are among the others, until this is dropped.
pub(super) struct Followed(Vec<AbortHandle>);

impl Followed {
    /// From now on no event of it comes, whether it has happened already or not.
    pub(super) fn end(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.end();
    }
}

/// Puts a namespace's events among the others, with those of filters where programs are attached by them, and returns its network as it is
/// now. Within a tokio runtime.
///
/// # Errors
///
/// When the namespace cannot be entered or watched.
pub(super) fn follow(
    netns: &NetNs,
    mode: Mode,
    changes: &mut NetlinkEvents,
) -> Result<(Network, Followed)> {
    let runtime = tokio::runtime::Handle::current();
    let (network, watch) = NetworkWatch::open(netns, &runtime)?;
    let cookie = netns.cookie;
    let events = stream::unfold(watch, |mut watch| async {
        let event = next(&mut watch).await;
        Some((event, watch))
    });
    let mut followed = Followed(Vec::new());
    let mut add = |events: BoxStream<'static, NetlinkEvent>| {
        let (events, handle) = stream::abortable(events.map(move |event| (cookie, event)));
        changes.push(events.boxed());
        followed.0.push(handle);
    };
    add(events.boxed());
    if mode == Mode::Clsact {
        let filters = stream::unfold(QdiscWatch::open(netns, &runtime)?, |mut watch| async {
            watch.next().await;
            Some((NetlinkEvent::Filters, watch))
        });
        add(filters.boxed());
    }
    Ok((network, followed))
}

async fn next(watch: &mut NetworkWatch) -> NetlinkEvent {
    loop {
        match watch.next().await {
            Change::Lost => {
                // Where it cannot be read any more, the next event says why, if any comes.
                if let Ok(network) = watch.dump().await {
                    return NetlinkEvent::Anew(network);
                }
            }
            change => return NetlinkEvent::Change(change),
        }
    }
}
