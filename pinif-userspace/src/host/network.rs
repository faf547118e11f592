//! A namespace's interfaces and addresses, and what changes in them.

use std::{collections::VecDeque, future, io, net::IpAddr};

use anyhow::Context;
use netlink_packet_route::{
    address::AddressMessage,
    link::{LinkAttribute, LinkExtentMask, LinkMessage},
};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use pinif_ebpf::key::IfIndex;
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    addresses::{Addresses, LocalAddress},
    links::{Link, Links},
    listing::list,
    netlink::{Messages, receive},
    netns::NetNs,
    tunnels, wireguard,
};

/// Room for the messages about a thousand interfaces that come at once.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
pub(super) const DATAGRAM: usize = 64 * 1024;
/// How many messages are taken unread at once: who sends them without a pause, as the root of a container can, keeps nobody from all else.
pub(super) const AT_ONCE: usize = 64;

const STATE_GROUPS: [u32; 3] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
];
const ROUTE_GROUPS: [u32; 5] = [
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV6_RULE,
    libc::RTNLGRP_NEXTHOP,
];

/// What is known of a namespace's interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The interfaces.
    pub links: Links,
    /// Their addresses.
    pub addresses: Addresses,
}

/// Something that changed in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An interface is new, or its state or name is. Routes may have changed with it: the kernel takes IPv4 routes of
    /// an interface that goes down away without a word.
    Link(Link),
    /// An interface is gone, or was moved to another namespace.
    LinkGone(IfIndex, String),
    /// An interface has a new address.
    Address(LocalAddress),
    /// An interface has lost an address.
    AddressGone(LocalAddress),
    /// Routes, routing rules or next hops are not what they were.
    Routes,
    /// More happened than the kernel could keep for us (`ENOBUFS`): what is known is stale until
    /// [`NetworkWatch::dump`] is called.
    Lost,
}

impl Network {
    /// The one interface that has an address, as [`Addresses::sole_owner`] finds it.
    pub fn sole_owner(&self, address: IpAddr) -> Option<IfIndex> {
        self.addresses.sole_owner(address, &self.links)
    }

    /// Whether the loopback device has an address: nothing leaves the host by it. A midplane may have one of 127.0.0.0/8
    /// (`route_localnet`). Of IPv4, it has its whole prefix (`fib_add_ifaddr`).
    pub fn is_of_loopback(&self, address: IpAddr) -> bool {
        let is_other =
            |local: &LocalAddress| local.address == address && local.index != IfIndex::LOOPBACK;
        let has = |local: &LocalAddress| match (local.address, address) {
            (IpAddr::V4(own), IpAddr::V4(_)) => ipnet::IpNet::new(own.into(), local.prefix_len)
                .is_ok_and(|prefix| prefix.contains(&address)),
            (own, _) => own == address,
        };
        self.addresses.of(IfIndex::LOOPBACK).any(has) && !self.addresses.iter().any(is_other)
    }

    /// Every address that one interface alone has, with that interface.
    pub fn sole_owners(&self) -> impl Iterator<Item = (IpAddr, IfIndex)> {
        self.addresses.sole_owners(&self.links)
    }

    /// Learns of a change. `Routes` and `Lost` change nothing here.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Link(link) => {
                self.links.insert(link.clone());
            }
            Change::LinkGone(index, _) => {
                self.links.remove(*index);
                self.addresses.remove_interface(*index);
            }
            Change::Address(address) => self.addresses.insert(*address),
            Change::AddressGone(address) => self.addresses.remove(address),
            Change::Routes | Change::Lost => {}
        }
    }

    /// Reads a namespace's interfaces and addresses, as they are now.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn read(netns: &NetNs) -> io::Result<Self> {
        netns.run(Self::read_here)?
    }

    fn read_here() -> io::Result<Self> {
        let mut message = LinkMessage::default();
        // Counters are most of a link's message, and nobody reads them here.
        message
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let mut links = collect(libc::RTM_GETLINK, &message, libc::RTM_NEWLINK, Link::decode)?;
        links.iter_mut().for_each(complete);
        let addresses = collect(
            libc::RTM_GETADDR,
            &AddressMessage::default(),
            libc::RTM_NEWADDR,
            LocalAddress::decode,
        )?;
        Ok(Self {
            links: links.into_iter().collect(),
            addresses: addresses.into_iter().collect(),
        })
    }
}

/// Adds what a link's message does not have. In the link's namespace.
fn complete(link: &mut Link) {
    if tunnels::is_wireguard(link) {
        match wireguard::listen_port(link.index) {
            Ok(port) => link.outer = tunnels::signatures::wireguard(port),
            // It is gone by now, most likely.
            Err(error) => log::debug!("the port of {} is unknown: {error}", link.name),
        }
    }
}

fn collect<T>(
    request: u16,
    body: &impl netlink_packet_core::Emitable,
    answer: u16,
    decode: fn(&[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let listed = list(NETLINK_ROUTE, request, body, |kind, payload| {
        (kind == answer).then(|| decode(payload)).flatten()
    })?;
    // Interfaces come and go all the time: what was missed now is reported by the watch.
    Ok(listed.what_there_is())
}

/// The changes of a namespace, as they happen.
///
/// Interfaces and addresses come by one socket, routes by another: a flood of routes (a full BGP table) then costs no
/// message about interfaces, and is one [`Change::Routes`], unread.
pub struct NetworkWatch {
    netns: NetNs,
    state: AsyncFd<Socket>,
    routes: AsyncFd<Socket>,
    pending: VecDeque<Change>,
    buffer: Vec<u8>,
}

impl NetworkWatch {
    /// Reads a namespace's interfaces and addresses, and watches them from then on, on `runtime`.
    ///
    /// It subscribes first and reads then, so that nothing is missed; what changed in between is reported once more.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn open(
        netns: &NetNs,
        runtime: &tokio::runtime::Handle,
    ) -> anyhow::Result<(Network, Self)> {
        let inside = || -> io::Result<_> {
            let state = subscribe(&STATE_GROUPS)?;
            let routes = subscribe(&ROUTE_GROUPS)?;
            Ok((state, routes, Network::read_here()?))
        };
        let (state, routes, network) =
            netns
                .run(inside)
                .and_then(|result| result)
                .with_context(|| {
                    format!(
                        "cannot watch the interfaces of the network namespace `{}`",
                        netns.name
                    )
                })?;
        let _entered = runtime.enter();
        let watch = Self {
            netns: netns.clone(),
            state: register(state)?,
            routes: register(routes)?,
            pending: VecDeque::new(),
            buffer: vec![0; DATAGRAM],
        };
        Ok((network, watch))
    }

    /// The next change. It may be dropped at any time without losing one.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(mut change) = self.pending.pop_front() {
                self.complete(&mut change);
                return change;
            }
            let Self {
                state,
                routes,
                pending,
                buffer,
                ..
            } = self;
            tokio::select! {
                biased;
                ready = state.readable() => {
                    // The only error is a runtime that shuts down.
                    let Ok(mut ready) = ready else { return future::pending().await };
                    match ready.try_io(|socket| receive(socket, buffer)) {
                        Ok(Ok(length)) => decode(&buffer[..length], pending),
                        Ok(Err(error)) => {
                            log::debug!("messages about interfaces were lost: {error}");
                            pending.push_back(Change::Lost);
                        }
                        Err(_would_block) => {}
                    }
                }
                ready = routes.readable() => {
                    let Ok(mut ready) = ready else { return future::pending().await };
                    if drain(routes.get_ref(), buffer, AT_ONCE) {
                        return Change::Routes;
                    }
                    ready.clear_ready();
                }
            }
        }
    }

    fn complete(&self, change: &mut Change) {
        if let Change::Link(link) = change
            && tunnels::is_wireguard(link)
            && let Err(error) = self.netns.run(|| complete(link))
        {
            log::debug!("a namespace cannot be entered any more: {error}");
        }
    }

    /// Reads the namespace's interfaces and addresses anew, after [`Change::Lost`].
    ///
    /// # Errors
    /// Where the namespace may not be entered any more, or the kernel refuses netlink.
    pub async fn dump(&mut self) -> io::Result<Network> {
        // What is queued is older than the dump and has gaps: an interface of which only the birth was kept would
        // live for ever.
        self.pending.clear();
        drain(self.state.get_ref(), &mut self.buffer, usize::MAX);
        let netns = self.netns.clone();
        let read = tokio::task::spawn_blocking(move || Network::read(&netns));
        read.await.map_err(io::Error::other)?
    }
}

/// A socket that gets the messages of some groups, in the calling thread's namespace.
pub(super) fn subscribe(groups: &[u32]) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.set_non_blocking(true)?;
    if setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
        // Without CAP_NET_ADMIN in the initial user namespace, as much as the system allows.
        socket.set_rx_buf_sz(RECEIVE_BUFFER as libc::c_int)?;
    }
    socket.bind_auto()?;
    for group in groups {
        socket.add_membership(*group)?;
    }
    Ok(socket)
}

pub(super) fn register(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the socket owns its descriptor, and neither closes nor changes it before it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?)
}

/// Takes so much of what is queued, unread. Whether there was anything, or anything lost.
pub(super) fn drain(socket: &Socket, buffer: &mut [u8], most: usize) -> bool {
    let mut any = false;
    for _ in 0..most {
        match receive(socket, buffer) {
            Ok(_) => any = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return any,
            // ENOBUFS comes once, then the queue goes on.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => any = true,
            Err(_) => return true,
        }
    }
    any
}

fn decode(datagram: &[u8], changes: &mut VecDeque<Change>) {
    for message in Messages(datagram) {
        let payload = message.payload();
        changes.extend(match message.message_type() {
            libc::RTM_NEWLINK => Link::decode(payload).map(Change::Link),
            libc::RTM_DELLINK => {
                Link::decode(payload).map(|link| Change::LinkGone(link.index, link.name))
            }
            libc::RTM_NEWADDR => LocalAddress::decode(payload).map(Change::Address),
            libc::RTM_DELADDR => LocalAddress::decode(payload).map(Change::AddressGone),
            _ => None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_learnt_and_forgotten() {
        let address = LocalAddress {
            address: [10, 0, 0, 1].into(),
            index: IfIndex(2),
            prefix_len: 24,
        };
        let mut network = Network::default();
        network.apply(&Change::Link(Link::new(IfIndex(2), "fab0")));
        network.apply(&Change::Address(address));
        network.apply(&Change::Routes);
        network.apply(&Change::Lost);
        assert_eq!(network.links.iter().count(), 1);
        assert_eq!(
            network.addresses.of(IfIndex(2)).collect::<Vec<_>>(),
            [&address]
        );
        let mut other = network.clone();
        network.apply(&Change::AddressGone(address));
        assert!(network.addresses.iter().next().is_none());
        other.apply(&Change::LinkGone(IfIndex(2), "fab0".to_owned()));
        assert_eq!(
            other,
            Network::default(),
            "an interface takes its addresses along"
        );
    }
}
