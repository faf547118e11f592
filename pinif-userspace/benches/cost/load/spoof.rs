//! Datagrams of many flows that have no socket where they are seen: they come from elsewhere, with other sources each.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use pinif_lab::udp_packet;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Sender, Sent};

/// The first source: there are 2²⁰ addresses from here on (`172.16.0.0/12`).
const FIRST: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);
const MOST: u32 = 1 << 20;
/// Where the source is in a header.
const SOURCE: usize = 12;
/// Where UDP's checksum is behind a header of the least size; zero is none (RFC 768).
const CHECKSUM: usize = 26;
const BATCH: usize = 64;

/// A raw socket that sends whole packets (raw(7), `IP_HDRINCL`).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Spoof {
    /// Where to.
    pub to: SocketAddrV4,
    /// How many flows there are, each with a source of its own.
    pub flows: u32,
}

impl Spoof {
    pub(super) fn open(self) -> Result<Flows> {
        ensure!(
            self.flows <= MOST,
            "there are sources for {MOST} flows only"
        );
        let socket = Socket::new(
            Domain::IPV4,
            Type::RAW,
            Some(Protocol::from(libc::IPPROTO_RAW)),
        )
        .context("cannot open a raw socket")?;
        socket.connect(&SockAddr::from(self.to))?;
        let source = SocketAddrV4::new(FIRST, 9);
        let mut packet = udp_packet(source.into(), self.to.into(), &[0; 18])
            .context("there is no such packet")?;
        packet[CHECKSUM..CHECKSUM + 2].fill(0);
        Ok(Flows {
            batch: vec![packet; BATCH],
            flows: self.flows,
            next: 0,
            socket,
        })
    }
}

/// The flows, and the one that is next.
pub(super) struct Flows {
    socket: Socket,
    batch: Vec<Vec<u8>>,
    flows: u32,
    next: u32,
}

impl Sender for Flows {
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()> {
        while Instant::now() < end {
            sent.count += self.send()?;
        }
        Ok(())
    }
}

impl Flows {
    /// Sends a batch; the kernel fills in the header's checksum.
    fn send(&mut self) -> io::Result<u64> {
        let mut payloads = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; BATCH];
        // SAFETY: all zeros are messages without address, payload and control message.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for ((packet, payload), message) in
            self.batch.iter_mut().zip(&mut payloads).zip(&mut messages)
        {
            let source = FIRST.to_bits() + self.next;
            packet[SOURCE..SOURCE + 4].copy_from_slice(&source.to_be_bytes());
            self.next = (self.next + 1) % self.flows;
            payload.iov_base = packet.as_mut_ptr().cast();
            payload.iov_len = packet.len();
            message.msg_hdr.msg_iov = payload;
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: there are as many messages as said, and what they point to outlives the call.
        let taken = unsafe {
            libc::sendmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as libc::c_uint,
                0,
            )
        };
        u64::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}
