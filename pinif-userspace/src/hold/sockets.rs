//! Sockets that were there before their pin: bound to the device from outside (pidfd_getfd(2)), or reported.

use std::{
    collections::HashSet,
    fs, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use nix::{
    getsockopt_impl, setsockopt_impl, sockopt_impl,
    sys::socket::{getsockopt, setsockopt},
};
use pinif_ebpf::key::{IfIndex, NetNsCookie};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::{Domain, SockRef, Type};

use super::cgroup;
use crate::{
    findings::flow::{protocol_name, protocol_text},
    host::{
        links::Links,
        netns::{NetNs, cookie},
        network::Network,
        processes::held_by,
    },
};

sockopt_impl!(
    /// The interface that a socket is bound to, by index.
    BindToIfindex, Both, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, u32
);

/// What became of the sockets that were there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Those that are bound to the device now.
    pub bound: usize,
    /// Those that are not: the kernel refused, or they are bound to something else. Their packets are held all the same.
    pub left: usize,
}

/// Binds every IP socket of a cgroup's processes that is bound to nothing to the device, but for connections within the
/// host, which would be cut by it. `network` is the namespace's.
///
/// # Errors
///
/// When the processes cannot be listed.
pub fn bind(cgroup: &Path, netns: &NetNs, network: &Network, to: IfIndex) -> io::Result<Bound> {
    let mut outcome = Bound::default();
    each(cgroup, netns.cookie, |_, socket, from| {
        if from == to || is_internal(socket, network) {
            return;
        }
        if !from.is_some() && setsockopt(&socket, BindToIfindex, &to.0).is_ok() {
            outcome.bound += 1;
        } else {
            outcome.left += 1;
        }
    })?;
    Ok(outcome)
}

/// Binds the sockets that are bound to an interface which is gone to the one that has its name now.
///
/// # Errors
///
/// When the processes cannot be listed.
pub fn rebind(cgroup: &Path, netns: &NetNs, links: &Links, to: IfIndex) -> io::Result<()> {
    each(cgroup, netns.cookie, |_, socket, bound| {
        if bound.is_some() && links.get(bound).is_none() {
            // One that cannot be bound sends nothing: its device is gone.
            let _ = setsockopt(&socket, BindToIfindex, &to.0);
        }
    })
}

/// The IP sockets of a cgroup's processes that are bound to a device, each as a person reads it: `fabricd (pid 640) UDP
/// 10.0.0.1:7001`. None, where there is no device.
///
/// # Errors
///
/// When the processes cannot be listed.
pub fn bound_to(
    cgroup: &Path,
    netns: NetNsCookie,
    device: Option<IfIndex>,
) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    each(cgroup, netns, |pid, socket, bound| {
        if device == Some(bound) {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let reference = SockRef::from(&socket);
            let local = reference
                .local_addr()
                .ok()
                .and_then(|local| local.as_socket());
            let local = local.map_or_else(String::new, |local| format!(" {local}"));
            let kind = kind(socket).map_or_else(String::new, |kind| protocol_name(&kind));
            all.push(format!("{} (pid {pid}) {kind}{local}", name.trim_end()));
        }
    })?;
    Ok(all)
}

/// Shows each IP socket of a namespace that a cgroup's processes have, with the interface that it is bound to.
fn each(
    cgroup: &Path,
    netns: NetNsCookie,
    mut look: impl FnMut(u32, BorrowedFd<'_>, IfIndex),
) -> io::Result<()> {
    let mut seen = HashSet::new();
    for (pid, process) in processes(cgroup)? {
        for (number, inode) in held_by(pid, usize::MAX) {
            if !seen.insert(inode) {
                continue;
            }
            let flags = PidfdGetfdFlags::empty();
            if let Ok(socket) = pidfd_getfd(&process, number, flags)
                && let Some(bound) = bound_device(&socket, netns)
            {
                look(pid, socket.as_fd(), bound);
            }
        }
    }
    Ok(())
}

/// A cgroup's processes, each with a descriptor. One that may not be looked into, or is gone, is passed over: what leaves is held.
fn processes(cgroup: &Path) -> io::Result<Vec<(u32, OwnedFd)>> {
    let opened = |pid: u32| {
        let number = Pid::from_raw(pid.cast_signed())?;
        Some((pid, pidfd_open(number, PidfdFlags::empty()).ok()?))
    };
    let mut all: Vec<_> = cgroup::processes(cgroup)?
        .into_iter()
        .filter_map(opened)
        .collect();
    // One may have ended, and its number be another's, before it was opened: that one is in the cgroup too, or not among these. From
    // a process that has ended since, nothing can be taken.
    let still: HashSet<u32> = cgroup::processes(cgroup)?.into_iter().collect();
    all.retain(|(pid, _)| still.contains(pid));
    Ok(all)
}

/// The interface that an IP socket of this namespace is bound to; none of any other.
fn bound_device(socket: &OwnedFd, netns: NetNsCookie) -> Option<IfIndex> {
    let domain = SockRef::from(socket).domain().ok()?;
    if domain != Domain::IPV4 && domain != Domain::IPV6 {
        return None;
    }
    if cookie::of_socket(socket).ok()? != netns {
        return None;
    }
    getsockopt(socket, BindToIfindex).ok().map(IfIndex)
}

/// Whether a socket's peer is its own host.
fn is_internal(socket: BorrowedFd<'_>, network: &Network) -> bool {
    let socket = SockRef::from(&socket);
    let addresses = [socket.local_addr(), socket.peer_addr()];
    addresses
        .into_iter()
        .filter_map(|address| address.ok()?.as_socket())
        .any(|address| network.is_of_loopback(address.ip().to_canonical()))
}

/// A socket that this process was started with, and hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The descriptor's number.
    pub descriptor: i32,
    /// What it is: `udp`, `tcp`, `raw`, `packet`.
    pub kind: String,
    /// What it is bound to; none of a packet socket.
    pub local: Option<SocketAddr>,
}

/// The IP and packet sockets among the descriptors that a command will inherit.
pub fn handed() -> Vec<Handed> {
    let mut all: Vec<_> = held_by(std::process::id(), usize::MAX)
        .filter_map(|(number, _)| describe(number))
        .collect();
    all.sort_by_key(|socket| socket.descriptor);
    all
}

fn describe(number: i32) -> Option<Handed> {
    // SAFETY: the descriptor was open a moment ago, and is only asked; of one that is gone, the kernel says so.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = rustix::io::fcntl_getfd(descriptor).ok()?;
    if flags.contains(rustix::io::FdFlags::CLOEXEC) {
        return None;
    }
    Some(Handed {
        descriptor: number,
        kind: kind(descriptor)?,
        local: SockRef::from(&descriptor)
            .local_addr()
            .ok()
            .and_then(|local| local.as_socket()),
    })
}

/// What a socket is: `udp`, `tcp`, `raw`, `packet`; none, if it is of no such family.
fn kind(socket: BorrowedFd<'_>) -> Option<String> {
    let socket = SockRef::from(&socket);
    let domain = socket.domain().ok()?;
    if domain == Domain::PACKET {
        return Some("packet".to_owned());
    }
    if domain != Domain::IPV4 && domain != Domain::IPV6 {
        return None;
    }
    if socket.r#type().ok()? == Type::RAW {
        return Some("raw".to_owned());
    }
    let protocol = i32::from(socket.protocol().ok()??);
    Some(u8::try_from(protocol).map_or_else(|_| protocol.to_string(), protocol_text))
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::AsRawFd as _};

    use super::*;

    #[test]
    fn a_socket_is_handed_in_if_it_outlives_exec() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let is_there = || {
            let number = socket.as_raw_fd();
            handed().into_iter().find(|it| it.descriptor == number)
        };
        assert_eq!(is_there(), None, "close-on-exec");
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).expect("a flag");
        let expected = Handed {
            descriptor: socket.as_raw_fd(),
            kind: "udp".to_owned(),
            local: socket.local_addr().ok(),
        };
        assert_eq!(is_there(), Some(expected));
        let own = NetNs::current().expect("this namespace");
        let network = Network::read(&own).expect("its addresses");
        assert!(is_internal(socket.as_fd(), &network));
        assert!(!is_internal(socket.as_fd(), &Network::default()));
    }

    #[test]
    fn the_namespace_of_a_socket_is_looked_at() {
        let socket = OwnedFd::from(UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        let netns = NetNs::current().expect("a namespace").cookie;
        assert_eq!(bound_device(&socket, netns), Some(IfIndex::NONE));
        assert_eq!(bound_device(&socket, NetNsCookie(netns.0 + 1)), None);
    }
}
