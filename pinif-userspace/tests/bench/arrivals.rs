//! What arrives of what a mistake sends.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use pinif_lab::Namespace;
use pinif_userspace::findings::explain::Step;

use super::Bench;

/// The port that what a mistake sends goes to.
pub const PORT: u16 = 7009;

/// Receivers of what a mistake sends.
pub struct Arrivals {
    peer: UdpSocket,
    outside: UdpSocket,
}

impl Arrivals {
    /// Begins to receive.
    pub fn at(bench: &Bench) -> Self {
        let open = |namespace: &Namespace| {
            let socket = namespace.run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)));
            let socket = socket.expect("it is there").expect("the port is free");
            // In a group as well, where the family has groups of both.
            let join = |address: [u8; 4]| {
                let group = Ipv4Addr::new(239, 1, 1, 1);
                namespace.run(|| socket.join_multicast_v4(&group, &address.into()))
            };
            for address in [[10, 0, 0, 2], [192, 0, 2, 2]] {
                let _elsewhere = join(address);
            }
            socket
                .set_read_timeout(Some(Duration::from_secs(10)))
                .expect("a time");
            socket
        };
        Self {
            peer: open(&bench.chassis.peer),
            outside: open(&bench.chassis.outside),
        }
    }

    /// Waits until so many have arrived outside.
    pub fn wait_for_outside(&self, number: u64) {
        for arrived in 0..number {
            let result = self.outside.recv(&mut [0; 64]);
            assert!(result.is_ok(), "{arrived} of {number} arrived outside");
        }
    }

    /// So many have arrived, and no more.
    pub fn are(&self, peer: u64, outside: u64, step: &Step) {
        for (name, socket, number) in [
            ("the peer", &self.peer, peer),
            ("outside", &self.outside, outside),
        ] {
            for arrived in 0..number {
                let result = socket.recv(&mut [0; 64]);
                assert!(
                    result.is_ok(),
                    "{arrived} of {number} arrived at {name} after {step:#?}"
                );
            }
            socket.set_nonblocking(true).expect("a socket");
            let more = socket.recv(&mut [0; 64]);
            assert!(
                more.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
                "more than {number} arrived at {name} after {step:#?}"
            );
        }
    }
}
