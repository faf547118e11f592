//! Datagrams of the least size, as many as one processor sends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::time::Instant;

use anyhow::{Context as _, Result};
use nix::sys::socket::{MsgFlags, send};
use pinif_lab::send::index;
use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Sender, Sent};

/// The payload of an Ethernet frame of the least size, without its checksum: 60 bytes less 14, 20 and 8.
const PAYLOAD: [u8; 18] = [0; 18];
/// The port of the first of those that send in turn.
const FIRST_PORT: u16 = 1_024;
/// How many sockets may share one address, a port each; with more, ports are shared.
const PORTS: u32 = 50_000;
/// How many messages one call gives the kernel.
const BATCH: usize = 64;

/// Sockets that send datagrams.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Udp {
    /// Where to; of several destinations, the first.
    pub to: SocketAddr,
    /// How many addresses are sent to in turn.
    pub destinations: u32,
    /// Whether each datagram has its address with it, as it must with several; else the sockets are connected.
    pub unconnected: bool,
    /// How many sockets are open, each of which has sent.
    pub sockets: u32,
    /// The number of the first of them: those that send in turn have a port by their number.
    pub first: u32,
    /// Whether all of them send in turn, not only the first.
    pub in_turn: bool,
    /// The device that they are bound to.
    pub device: Option<String>,
    /// The interface that each datagram asks for in spite of that (`IP_PKTINFO`).
    pub leave_by: Option<String>,
}

impl Udp {
    /// One connected socket.
    pub fn to(to: SocketAddr) -> Self {
        Self {
            to,
            destinations: 1,
            unconnected: false,
            sockets: 1,
            first: 0,
            in_turn: false,
            device: None,
            leave_by: None,
        }
    }

    /// Bound to a device.
    pub fn bound_to(self, device: &str) -> Self {
        Self {
            device: Some(device.to_owned()),
            ..self
        }
    }

    pub(super) fn open(self) -> Result<Datagrams> {
        let mut sockets = Vec::new();
        for number in 0..self.sockets {
            let socket = self.socket(self.first + number)?;
            // Each has sent, so that all is known of it that a packet shows.
            if !self.unconnected {
                socket.send(&PAYLOAD).context("cannot send")?;
            }
            sockets.push(socket);
        }
        let leave_by = self.leave_by.as_deref().map(index).transpose()?;
        let addresses = (0..self.destinations).map(|number| SockAddr::from(nth(self.to, number)));
        Ok(Datagrams {
            messages: Messages::new(addresses.collect(), self.unconnected, leave_by),
            sockets,
            in_turn: self.in_turn,
            next: 0,
        })
    }

    fn socket(&self, number: u32) -> Result<Socket> {
        let socket = Socket::new(Domain::for_address(self.to), Type::DGRAM, None)
            .context("cannot open a socket")?;
        if let Some(device) = &self.device {
            socket
                .bind_device(Some(device.as_bytes()))
                .with_context(|| format!("cannot bind to {device}"))?;
        }
        if self.in_turn {
            socket.set_reuse_address(true)?;
            let port = FIRST_PORT + (number % PORTS) as u16;
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        }
        if !self.unconnected {
            socket.connect(&self.to.into())?;
        }
        Ok(socket)
    }
}

/// The address that comes `number` places after the first.
fn nth(first: SocketAddr, number: u32) -> SocketAddr {
    let ip = match first.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits().wrapping_add(number))),
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits().wrapping_add(u128::from(number))).into()),
    };
    SocketAddr::new(ip, first.port())
}

/// Opened sockets, and what they send.
pub(super) struct Datagrams {
    sockets: Vec<Socket>,
    in_turn: bool,
    messages: Messages,
    next: usize,
}

impl Sender for Datagrams {
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()> {
        while Instant::now() < end {
            let count = if self.in_turn {
                self.one_each()?
            } else {
                self.messages.send(&self.sockets[0])?
            };
            sent.count += count;
            sent.bytes += count * PAYLOAD.len() as u64;
        }
        Ok(())
    }
}

impl Datagrams {
    /// As many sockets as a batch has messages send one each.
    fn one_each(&mut self) -> io::Result<u64> {
        for _ in 0..BATCH {
            let socket = &self.sockets[self.next];
            send(socket.as_raw_fd(), &PAYLOAD, MsgFlags::empty())?;
            self.next = (self.next + 1) % self.sockets.len();
        }
        Ok(BATCH as u64)
    }
}

/// What `sendmmsg` is given, prepared once.
struct Messages {
    headers: Vec<libc::mmsghdr>,
    next: usize,
    _addresses: Vec<SockAddr>,
    _payload: Box<libc::iovec>,
    _control: Vec<Control>,
}

/// One control message, `IP_PKTINFO`, as cmsg(3) lays it out.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    info: libc::in_pktinfo,
    _pad: [u8; 4],
}

impl Messages {
    /// A message to each address, or, with one address, a batch of the same; with the address in each, or for a connected
    /// socket.
    fn new(addresses: Vec<SockAddr>, addressed: bool, leave_by: Option<u32>) -> Self {
        let mut payload = Box::new(libc::iovec {
            iov_base: PAYLOAD.as_ptr().cast_mut().cast(),
            iov_len: PAYLOAD.len(),
        });
        let mut control: Vec<Control> = leave_by.into_iter().map(Control::new).collect();
        let repeat = BATCH.div_ceil(addresses.len());
        let mut headers = Vec::new();
        for address in addresses.iter().cycle().take(addresses.len() * repeat) {
            // SAFETY: all zeros are a message without address, payload and control message.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            if addressed {
                header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
                header.msg_hdr.msg_namelen = address.len();
            }
            header.msg_hdr.msg_iov = &raw mut *payload;
            header.msg_hdr.msg_iovlen = 1;
            if let Some(control) = control.first_mut() {
                header.msg_hdr.msg_control = (&raw mut *control).cast();
                header.msg_hdr.msg_controllen = size_of::<Control>();
            }
            headers.push(header);
        }
        Self {
            headers,
            next: 0,
            _addresses: addresses,
            _payload: payload,
            _control: control,
        }
    }

    /// Sends the next batch; how many the kernel took.
    fn send(&mut self, socket: &Socket) -> io::Result<u64> {
        let end = (self.next + BATCH).min(self.headers.len());
        let batch = &mut self.headers[self.next..end];
        // SAFETY: the headers are as many as said, and what they point to is held beside them, at places that do not move.
        let taken = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                batch.as_mut_ptr(),
                batch.len() as libc::c_uint,
                0,
            )
        };
        if taken < 0 {
            return Err(io::Error::last_os_error());
        }
        self.next = (self.next + taken as usize) % self.headers.len();
        Ok(taken as u64)
    }
}

impl Control {
    fn new(interface: u32) -> Self {
        Self {
            header: libc::cmsghdr {
                cmsg_len: size_of::<libc::cmsghdr>() + size_of::<libc::in_pktinfo>(),
                cmsg_level: libc::IPPROTO_IP,
                cmsg_type: libc::IP_PKTINFO,
            },
            info: libc::in_pktinfo {
                ipi_ifindex: interface.cast_signed(),
                ipi_spec_dst: libc::in_addr { s_addr: 0 },
                ipi_addr: libc::in_addr { s_addr: 0 },
            },
            _pad: [0; 4],
        }
    }
}
