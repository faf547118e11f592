//! Waiting for what happens by itself: parked in poll(2) until an event that may have brought it, and never spinning, which
//! would take the only processor of an emulated machine from what is waited for.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use netlink_sys::Socket as Netlink;
use netlink_sys::protocols::{NETLINK_ROUTE, NETLINK_SOCK_DIAG};
use pinif_lab::{Namespace, patience};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::io::{Errno, read, retry_on_intr};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use socket2::{Domain, Protocol, Socket, Type};

/// How long what is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// `RTNLGRP_LINK` of linux/rtnetlink.h.
const LINKS: u32 = 1;
/// `SKNLGRP_INET_TCP_DESTROY` and `SKNLGRP_INET6_TCP_DESTROY` of linux/sock_diag.h.
const DESTROYED: [u32; 2] = [1, 3];

/// What may bring what is waited for. It is watched from when this value is made, so that nothing is missed
/// between a look and the wait after it.
pub struct Events(Vec<OwnedFd>);

impl Events {
    /// Links of these namespaces come, go or change.
    pub fn of_links<'a>(namespaces: impl IntoIterator<Item = &'a Namespace>) -> Self {
        Self::in_each(namespaces, || netlink(NETLINK_ROUTE, &[LINKS]))
    }

    /// Full TCP sockets of these namespaces end, also those that become time-wait sockets.
    pub fn of_connections<'a>(namespaces: impl IntoIterator<Item = &'a Namespace>) -> Self {
        Self::in_each(namespaces, || netlink(NETLINK_SOCK_DIAG, &DESTROYED))
    }

    /// Packets arrive in these namespaces, by whatever link.
    pub fn of_arrivals<'a>(namespaces: impl IntoIterator<Item = &'a Namespace>) -> Self {
        Self::in_each(namespaces, || {
            let all = i32::from((libc::ETH_P_ALL as u16).to_be());
            let socket = Socket::new(
                Domain::PACKET,
                Type::DGRAM.nonblocking(),
                Some(Protocol::from(all)),
            );
            socket.expect("a packet socket").into()
        })
    }

    /// These files are written, or what is in these directories comes and goes. The kernel writes `cgroup.events` and its like
    /// (`kernfs_notify`).
    pub fn of_files<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)
            .expect("inotify");
        for path in paths {
            let path = path.as_ref();
            let what = inotify::WatchFlags::MODIFY
                | inotify::WatchFlags::CREATE
                | inotify::WatchFlags::DELETE
                | inotify::WatchFlags::MOVE;
            inotify::add_watch(&watch, path, what)
                .unwrap_or_else(|error| panic!("cannot watch {}: {error}", path.display()));
        }
        Self(vec![watch])
    }

    /// Some time has passed: for what the kernel gives no event of. Whoever uses it says what that is.
    pub fn every(period: Duration) -> Self {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )
        .expect("a timer");
        let period = Timespec::try_from(period).expect("a short time");
        let times = Itimerspec {
            it_interval: period,
            it_value: period,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times).expect("a timer");
        Self(vec![timer])
    }

    /// These, or those.
    pub fn or(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    fn in_each<'a>(
        namespaces: impl IntoIterator<Item = &'a Namespace>,
        open: impl Fn() -> OwnedFd + Send + Sync,
    ) -> Self {
        let open = |namespace: &Namespace| namespace.run(&open).expect("the namespace is there");
        Self(namespaces.into_iter().map(open).collect())
    }

    /// Sleeps until there is one, or the deadline is over.
    fn wait(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a short time");
        let mut sources: Vec<_> = self
            .0
            .iter()
            .map(|source| PollFd::new(source, PollFlags::IN))
            .collect();
        retry_on_intr(|| poll(&mut sources, Some(&left))).expect("poll");
        self.0.iter().for_each(take);
    }
}

/// Waits until it holds. It is looked at now, and after each of the events.
#[track_caller]
pub fn wait_until(what: &str, events: &Events, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience(PATIENCE);
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        events.wait(deadline);
    }
}

/// Takes all that a source has, so that it is silent until there is more.
fn take(source: &OwnedFd) {
    let mut buffer = [0; 4096];
    loop {
        match read(source, &mut buffer) {
            // More has come than the kernel keeps (netlink(7)): that is an event, too.
            Ok(_) | Err(Errno::INTR | Errno::NOBUFS) => (),
            Err(Errno::AGAIN) => return,
            Err(error) => panic!("cannot read an event: {error}"),
        }
    }
}

fn netlink(protocol: isize, groups: &[u32]) -> OwnedFd {
    let mut socket = Netlink::new(protocol).expect("a netlink socket");
    socket.set_non_blocking(true).expect("a netlink socket");
    socket.bind_auto().expect("a netlink socket");
    for &group in groups {
        socket.add_membership(group).expect("a multicast group");
    }
    socket.as_fd().try_clone_to_owned().expect("a descriptor")
}
