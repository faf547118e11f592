//! rtnetlink, blocking: a request by the namespace's own socket, and an answer.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, State};
use rtnetlink::{Handle, MulticastGroup};
use tokio::runtime::Runtime;

use crate::{Namespace, patience};

/// How long the kernel may take to bring a link up before that is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace's netlink socket. It is opened once, in the namespace, to which it belongs wherever it is used.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Option<(Runtime, Handle)>>);

impl Requests {
    fn run<T>(
        &self,
        namespace: &Namespace,
        f: impl AsyncFnOnce(&Handle) -> Result<T>,
    ) -> Result<T> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (runtime, handle) = match &mut *opened {
            Some(opened) => opened,
            none => none.insert(namespace.run(open)??),
        };
        runtime.block_on(f(handle))
    }
}

fn open() -> Result<(Runtime, Handle)> {
    let runtime = runtime()?;
    let handle = {
        let _entered = runtime.enter();
        let (connection, handle, _) =
            rtnetlink::new_connection().context("cannot open a netlink socket")?;
        tokio::spawn(connection);
        handle
    };
    Ok((runtime, handle))
}

impl Namespace {
    /// Runs requests in the namespace, for what this module has no name for. The handle serves until `f` returns.
    pub fn netlink<T: Send>(&self, f: impl AsyncFnOnce(&Handle) -> Result<T> + Send) -> Result<T> {
        let ask = || self.requests.run(self, f);
        if tokio::runtime::Handle::try_current().is_err() {
            return ask();
        }
        // A runtime does not wait inside another.
        thread::scope(|scope| scope.spawn(ask).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The link named `name`, as the kernel describes it.
    pub(crate) fn link_message(&self, name: &str) -> Result<LinkMessage> {
        self.netlink(async |handle| link(handle, name).await)
    }

    /// Waits until the link is operational (`IF_OPER_UP`). Before that, the kernel drops what is sent by it, although
    /// both ends of a veth are up: `linkwatch_do_dev` has yet to activate its queue.
    pub fn wait_until_operational(&self, name: &str) -> Result<()> {
        self.run(|| {
            runtime()?.block_on(async {
                tokio::time::timeout(patience(PATIENCE), operational(name))
                    .await
                    .with_context(|| {
                        format!("link {name} did not become operational; is its other end up?")
                    })?
            })
        })?
    }
}

async fn operational(name: &str) -> Result<()> {
    // Subscribed before the question, so that no change falls between the two.
    let (connection, handle, mut changes) =
        rtnetlink::new_multicast_connection(&[MulticastGroup::Link])
            .context("cannot subscribe to link changes")?;
    tokio::spawn(connection);
    let wanted = link(&handle, name).await?;
    if is_operational(&wanted) {
        return Ok(());
    }
    while let Some((message, _)) = changes.next().await {
        if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(changed)) = message.payload
            && changed.header.index == wanted.header.index
            && is_operational(&changed)
        {
            return Ok(());
        }
    }
    bail!("the kernel closed the subscription to link changes")
}

fn is_operational(link: &LinkMessage) -> bool {
    link.attributes
        .iter()
        .any(|attribute| matches!(attribute, LinkAttribute::OperState(State::Up)))
}

/// The link named `name`.
pub(crate) async fn link(handle: &Handle, name: &str) -> Result<LinkMessage> {
    let mut links = pin!(handle.link().get().match_name(name).execute());
    let found = links.next().await.context("the kernel did not answer")?;
    found.with_context(|| format!("there is no link {name}"))
}

/// The index of the link named `name`.
pub(crate) async fn index(handle: &Handle, name: &str) -> Result<u32> {
    Ok(link(handle, name).await?.header.index)
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")
}
