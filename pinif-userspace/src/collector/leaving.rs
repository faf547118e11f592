//! Namespaces that are gone are left beside the audit: for each program at an interface the kernel waits for an RCU grace period with its lock
//! of all interfaces held (`tcx_entry_sync`), which takes long where there are hundreds. A thread does that, one namespace after the other;
//! it is started when the first namespace is gone.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
};

use pinif_ebpf::key::NetNsCookie;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::kernel::{attach::Taken, grace::wait_for_running_programs};

/// How many that are left are taken at once: the findings are read for all of them together.
const AT_ONCE: usize = 64;

/// A namespace, and what is attached in it.
type Order = (NetNsCookie, Taken);

/// The namespaces that are being left.
pub(super) struct Leaving {
    thread: Option<(Sender<Order>, JoinHandle<()>)>,
    left: UnboundedReceiver<NetNsCookie>,
    leave: UnboundedSender<NetNsCookie>,
}

impl Default for Leaving {
    fn default() -> Self {
        let (leave, left) = unbounded_channel();
        let thread = None;
        Self {
            thread,
            left,
            leave,
        }
    }
}

impl Leaving {
    /// Has all be detached that was taken from a namespace's hooks. That it is comes from [`Self::next`].
    pub(super) fn begin(&mut self, netns: NetNsCookie, taken: Taken) {
        if self.thread.is_none() {
            self.thread = self.start();
        }
        let order = (netns, taken);
        let refused = match &self.thread {
            Some((orders, _)) => orders.send(order).err().map(|refused| refused.0),
            None => Some(order),
        };
        // There is no thread: it is done here, and takes its time.
        if let Some(order) = refused {
            leave(order, &self.leave);
        }
    }

    fn start(&self) -> Option<(Sender<Order>, JoinHandle<()>)> {
        let (sender, orders): (_, Receiver<Order>) = channel();
        let left = self.leave.clone();
        let leave_all = move || {
            for order in orders {
                leave(order, &left);
            }
        };
        let thread = thread::Builder::new().name("leaving".to_owned());
        Some((sender, thread.spawn(leave_all).ok()?))
    }

    /// Those from which all is detached by now, once there is one. Safe to cancel.
    pub(super) async fn next(&mut self) -> Vec<NetNsCookie> {
        let mut all = Vec::new();
        self.left.recv_many(&mut all, AT_ONCE).await;
        all
    }

    /// Waits until all is detached.
    pub(super) fn rest(self) {
        if let Some((orders, thread)) = self.thread {
            drop(orders);
            // It ends early only by a panic, which was reported.
            let _ = thread.join();
        }
    }
}

/// Detaches, and waits until every packet is counted that was inside the programs.
fn leave((netns, taken): Order, left: &UnboundedSender<NetNsCookie>) {
    taken.detach_each(|| {});
    wait_for_running_programs();
    // Nobody waits for it at the end.
    let _ = left.send(netns);
}
