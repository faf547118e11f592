//! What is captured of findings: the programs take the packets, and a thread writes them.

use std::{future, io, sync::Arc};

use anyhow::{Context as _, Result};
use aya::Ebpf;

use crate::{
    capture::{Capture, CaptureState, Packet, Writer},
    hub::{Hub, Notice},
    kernel::captures::{CapturedPacket, CapturesRing},
};

/// What is captured.
pub(super) struct Capturing {
    ring: CapturesRing,
    writer: Writer,
}

impl Capturing {
    /// Begins. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object has no such ring buffer, or no thread can be started.
    pub(super) fn start(ebpf: &mut Ebpf, capture: Capture, hub: &Arc<Hub>) -> Result<Self> {
        let ring = CapturesRing::open(ebpf)?;
        let hub = Arc::clone(hub);
        let report = move |state: &CaptureState| {
            if let Some(stop) = &state.stopped {
                let (path, stop) = (state.path.clone(), stop.clone());
                hub.note(Notice::CaptureStopped { path, stop });
            }
        };
        let writer = Writer::start(capture.file, report);
        let writer = writer.context("no thread can be started that writes what is captured")?;
        Ok(Self { ring, writer })
    }

    /// Waits for packets. For ever, where nothing is captured. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the ring buffer cannot be waited for.
    pub(super) async fn next(
        capturing: &mut Option<Self>,
        each: impl FnMut(CapturedPacket),
    ) -> io::Result<()> {
        match capturing {
            Some(capturing) => capturing.ring.next(each).await,
            None => future::pending().await,
        }
    }

    /// The packets that are there, without waiting.
    pub(super) fn rest(&mut self) -> Vec<CapturedPacket> {
        let mut rest = Vec::new();
        self.ring.drain(|packet| rest.push(packet));
        rest
    }

    /// Has a packet written.
    pub(super) fn push(&self, packet: Packet) {
        self.writer.push(packet);
    }

    /// How it stands.
    pub(super) fn state(&self) -> CaptureState {
        self.writer.state()
    }

    /// Has all written, and waits for that.
    pub(super) fn end(self) {
        self.writer.end();
    }
}
