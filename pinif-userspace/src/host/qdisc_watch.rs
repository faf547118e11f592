//! That queueing disciplines or their filters are changed in a namespace (`RTNLGRP_TC`): a program that is attached by a filter goes with it.

use std::{future, io};

use anyhow::Context as _;
use netlink_sys::Socket;
use tokio::io::unix::AsyncFd;

use super::{
    netns::NetNs,
    network::{AT_ONCE, DATAGRAM, drain, register, subscribe},
};

/// Says when they are changed, by whomever. What was changed is not read.
pub struct QdiscWatch {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

impl QdiscWatch {
    /// Watches a namespace from now on, on `runtime`.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn open(netns: &NetNs, runtime: &tokio::runtime::Handle) -> anyhow::Result<Self> {
        let socket = netns
            .run(|| subscribe(&[libc::RTNLGRP_TC]))
            .and_then(|result: io::Result<_>| result)
            .with_context(|| {
                format!(
                    "cannot watch the queueing disciplines of the network namespace `{}`",
                    netns.name
                )
            })?;
        let _entered = runtime.enter();
        Ok(Self {
            socket: register(socket)?,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Waits until something was changed. It may be dropped at any time without losing that.
    pub async fn next(&mut self) {
        loop {
            // The only error is a runtime that shuts down.
            let Ok(mut ready) = self.socket.readable().await else {
                return future::pending().await;
            };
            // What was lost was something, too.
            if drain(self.socket.get_ref(), &mut self.buffer, AT_ONCE) {
                return;
            }
            ready.clear_ready();
        }
    }
}
