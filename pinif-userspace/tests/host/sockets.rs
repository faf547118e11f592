//! Sockets that were there before.

use std::{
    collections::HashSet,
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd},
    process,
};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt,
};
use pinif_ebpf::key::SocketCookie;
use pinif_userspace::host::{
    cgroups,
    netns::NetNs,
    processes::{self, ProcessId},
    sockets,
};

use crate::card::card;

/// `SO_COOKIE`, which nix does not know.
fn cookie(socket: &impl AsFd) -> SocketCookie {
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `length` bytes into the eight of `cookie`.
    let result = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "SO_COOKIE");
    SocketCookie(cookie)
}

fn inode(socket: &impl AsFd) -> u64 {
    nix::sys::stat::fstat(socket).expect("fstat").st_ino
}

#[test]
fn sockets_that_were_there_before_are_known_with_their_owner() {
    let card = card();
    let netns = card.netns();
    let (udp, listener) = netns
        .run(|| {
            let udp = UdpSocket::bind("10.0.0.1:4000").expect("a socket");
            setsockopt(&udp, sockopt::BindToDevice, &"fab0".into()).expect("SO_BINDTODEVICE");
            setsockopt(&udp, sockopt::Mark, &7).expect("SO_MARK");
            (udp, TcpListener::bind("[::]:4001").expect("a socket"))
        })
        .expect("run");
    let client = netns
        .run(|| TcpStream::connect("10.0.0.1:4001"))
        .expect("run")
        .expect("connected");
    let (server, _) = listener.accept().expect("accepted");
    let all = sockets::list(&netns).expect("sockets");
    assert_eq!(all.len(), 4, "{all:#?}");
    let find = |wanted: SocketCookie| {
        all.iter()
            .find(|socket| socket.cookie == wanted)
            .expect("the socket")
    };

    let pinned = find(cookie(&udp));
    assert_eq!(
        (pinned.inode, pinned.uid),
        (inode(&udp), nix::unistd::geteuid().as_raw())
    );
    assert_eq!(
        (pinned.protocol, pinned.raw, pinned.family),
        (17, false, libc::AF_INET as u8)
    );
    assert_eq!(
        (pinned.local, pinned.device),
        (
            "10.0.0.1:4000".parse().expect("an address"),
            Some(card.index("fab0"))
        )
    );
    assert_eq!((pinned.mark, pinned.remote.port()), (7, 0));
    let own = processes::describe(ProcessId {
        pid: process::id(),
        started: 0,
    })
    .and_then(|process| process.cgroup)
    .expect("a cgroup");
    assert_eq!(pinned.cgroup.and_then(cgroups::cgroup_path), Some(own));

    let (accepted, connected) = (find(cookie(&server)), find(cookie(&client)));
    assert_eq!(
        (accepted.local, accepted.remote),
        (connected.remote, connected.local)
    );
    assert_eq!(
        (accepted.local, accepted.family),
        (
            "10.0.0.1:4001".parse().expect("an address"),
            libc::AF_INET6 as u8
        )
    );
    assert_eq!(find(cookie(&listener)).device, None);

    for (socket, inode) in [
        (cookie(&udp), inode(&udp)),
        (cookie(&server), inode(&server)),
    ] {
        for protocol in [17, 6, 1] {
            assert_eq!(
                sockets::inode_of(&netns, socket, protocol).expect("an answer"),
                Some(inode)
            );
        }
    }
    let holders = processes::holders(&HashSet::from([inode(&udp)]));
    let holders = holders[&inode(&udp)].iter().map(|id| id.pid);
    assert_eq!(Vec::from_iter(holders), [process::id()]);
    assert_eq!(
        sockets::inode_of(&netns, SocketCookie(u64::MAX), 17).expect("an answer"),
        None
    );
    let own = NetNs::current().expect("current");
    assert_eq!(
        sockets::inode_of(&own, cookie(&udp), 17).expect("an answer"),
        None,
        "it is in another namespace"
    );
}

#[test]
fn packet_sockets_are_known() {
    let card = card();
    let netns = card.netns();
    assert_eq!(sockets::packets(&netns).expect("sockets"), []);
    let packet = netns
        .run(|| {
            let protocol = SockProtocol::EthAll;
            socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                protocol,
            )
            .expect("a socket")
        })
        .expect("run");
    let all = sockets::packets(&netns).expect("sockets");
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].cookie, all[0].inode, all[0].device),
        (cookie(&packet), inode(&packet), None)
    );
    assert_eq!(all[0].protocol, libc::ETH_P_ALL as u16);
    assert_eq!(
        sockets::inode_of(&netns, cookie(&packet), 255).expect("an answer"),
        Some(inode(&packet))
    );
}
