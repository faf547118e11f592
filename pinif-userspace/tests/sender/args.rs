//! The command line.

mod membership;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use membership::How;

/// Sends packets for pinif's tests, and says what it sent.
#[derive(Parser, Debug)]
#[command(name = "pinif-sender", version)]
pub struct Args {
    /// The named network namespace to send in.
    #[arg(long, value_name = "NAME")]
    pub netns: Option<String>,
    /// The cgroup's directory, joined before any socket is made.
    #[arg(long, value_name = "DIR")]
    pub cgroup: Option<PathBuf>,
    /// Print `ready` once the socket is made, and wait for a line before the first packet.
    #[arg(long, global = true)]
    pub wait_stdin: bool,
    /// What to send.
    #[command(subcommand)]
    pub traffic: Traffic,
}

/// What to send.
#[derive(Subcommand, Debug)]
pub enum Traffic {
    /// UDP datagrams.
    Udp(Udp),
    /// IP packets of a protocol that the kernel does not know.
    Raw(Raw),
    /// ICMP echo requests by a ping socket.
    Ping(Ping),
    /// UDP datagrams in frames of a packet socket.
    Packet(Packet),
    /// UDP datagrams, of many threads and sockets.
    Storm(Storm),
    /// The same frames by an AF_XDP socket.
    Xdp(Packet),
    /// One TCP connection.
    Tcp(Tcp),
    /// Becomes a program to which `SO_BINDTODEVICE` is forbidden, as a sandbox may.
    RefuseBind(RefuseBind),
    /// UDP datagrams, sent by a child that is given the socket. Both stay until they are killed.
    HandOn(HandOn),
    /// UDP datagrams by io_uring, the socket as well.
    Ring(Ring),
    /// Nothing of its own: joins a group, which the kernel reports.
    Groups(Groups),
    /// That child: the socket is its standard input, as inetd(8) gives it.
    #[command(hide = true)]
    Given(Given),
}

/// How the socket is made.
#[derive(clap::Args, Debug)]
pub struct Intent {
    /// `SO_BINDTODEVICE`.
    #[arg(long, value_name = "DEVICE")]
    pub bind_device: Option<String>,
    /// Go on where `SO_BINDTODEVICE` fails.
    #[arg(long)]
    pub ignore_bind_error: bool,
    /// The local address, with or without port.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = endpoint)]
    pub bind: Option<SocketAddr>,
    /// `IP_TRANSPARENT`, `IPV6_TRANSPARENT`: the address need not be the host's own.
    #[arg(long)]
    pub transparent: bool,
    /// The user whose socket it is; of UDP alone.
    #[arg(long)]
    pub user: Option<u32>,
    /// `SO_MARK`.
    #[arg(long)]
    pub mark: Option<u32>,
    /// `IP_TOS`, `IPV6_TCLASS`.
    #[arg(long)]
    pub tos: Option<u8>,
    /// `IP_UNICAST_IF`, `IPV6_UNICAST_IF`.
    #[arg(long, value_name = "DEVICE")]
    pub unicast_if: Option<String>,
    /// `IP_MULTICAST_IF`, `IPV6_MULTICAST_IF`.
    #[arg(long, value_name = "DEVICE")]
    pub multicast_if: Option<String>,
    /// `IP_MULTICAST_IF`, by an address of the interface.
    #[arg(long, value_name = "ADDR")]
    pub multicast_address: Option<Ipv4Addr>,
    /// `SO_BROADCAST`.
    #[arg(long)]
    pub broadcast: bool,
    /// Put IPv6 extension headers (hop-by-hop and destination options) before every packet.
    #[arg(long)]
    pub extension_headers: bool,
}

/// Where datagrams go, how many, and what happens on the way.
#[derive(clap::Args, Debug)]
pub struct Course {
    /// How the socket is made.
    #[command(flatten)]
    pub intent: Intent,
    /// The destination; the port matters for UDP only.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = endpoint)]
    pub to: SocketAddr,
    /// How many messages.
    #[arg(long, default_value_t = 1)]
    pub count: u64,
    /// As many as go until a line comes on standard input.
    #[arg(long, conflicts_with_all = ["count", "pause_after"])]
    pub until_line: bool,
    /// Bytes of payload of each.
    #[arg(long, default_value_t = 32)]
    pub size: usize,
    /// `connect()` first, and send without a destination.
    #[arg(long)]
    pub connect: bool,
    /// `IP_PKTINFO`, `IPV6_PKTINFO` with this device.
    #[arg(long, value_name = "DEVICE")]
    pub pktinfo: Option<String>,
    /// The same with this source, of a socket that asks for those of what it receives.
    #[arg(long, value_name = "ADDR")]
    pub pktinfo_source: Option<IpAddr>,
    /// `sin6_scope_id` of the destination.
    #[arg(long, value_name = "DEVICE")]
    pub scope: Option<String>,
    /// After so many messages, unbind the socket from its device.
    #[arg(long, value_name = "N")]
    pub unbind_after: Option<u64>,
    /// Bind the socket to this device instead, once it is connected and `--rebind-after` messages are sent.
    #[arg(long, value_name = "DEVICE")]
    pub rebind: Option<String>,
    /// See `--rebind`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rebind_after: u64,
    /// After so many messages, print `paused` and wait for a line.
    #[arg(long, value_name = "N")]
    pub pause_after: Option<u64>,
}

/// UDP datagrams.
#[derive(clap::Args, Debug)]
pub struct Udp {
    /// Where to.
    #[command(flatten)]
    pub course: Course,
    /// `UDP_SEGMENT`: let the kernel cut each message into datagrams of this payload.
    #[arg(long, value_name = "BYTES")]
    pub gso: Option<u16>,
}

/// IP packets of a protocol that the kernel does not know.
#[derive(clap::Args, Debug)]
pub struct Raw {
    /// Where to.
    #[command(flatten)]
    pub course: Course,
    /// The protocol's number; by default one for experiments (RFC 3692).
    #[arg(long, default_value_t = 253)]
    pub protocol: u8,
}

/// ICMP echo requests.
#[derive(clap::Args, Debug)]
pub struct Ping {
    /// Where to.
    #[command(flatten)]
    pub course: Course,
}

/// UDP datagrams in frames of a packet socket.
#[derive(clap::Args, Debug)]
pub struct Packet {
    /// The interface to put the frames on.
    #[arg(long)]
    pub device: String,
    /// The source in the packet.
    #[arg(long, value_name = "ADDR:PORT")]
    pub from: SocketAddr,
    /// The destination in the packet.
    #[arg(long, value_name = "ADDR:PORT")]
    pub to: SocketAddr,
    /// How many frames.
    #[arg(long, default_value_t = 1)]
    pub count: u64,
    /// Bytes of payload of each.
    #[arg(long, default_value_t = 32)]
    pub size: usize,
    /// Set `--bypass` by a system call of 32 bits.
    #[arg(long)]
    pub compat: bool,
    /// The ethertype that the kernel is given, whatever the frame's is.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub announce: u16,
    /// So many IPv6 destination options before the datagram.
    #[arg(long, default_value_t = 0)]
    pub options: u8,
    /// An IEEE 802.1Q tag; the inner one, where there is a service tag.
    #[arg(long, value_name = "ID")]
    pub vlan: Option<u16>,
    /// An IEEE 802.1ad tag around it.
    #[arg(long, value_name = "ID")]
    pub service_vlan: Option<u16>,
    /// So many further tags behind these, each with a priority and no VLAN's number.
    #[arg(long, default_value_t = 0)]
    pub priority_tags: usize,
    /// `PACKET_QDISC_BYPASS`: past the queueing disciplines.
    #[arg(long)]
    pub bypass: bool,
    /// Once all is sent, print `sent` and wait for a line.
    #[arg(long)]
    pub stay: bool,
}

/// UDP datagrams, of many threads and sockets.
#[derive(clap::Args, Debug)]
pub struct Storm {
    /// How the sockets are made.
    #[command(flatten)]
    pub intent: Intent,
    /// The destination.
    #[arg(long, value_name = "ADDR:PORT")]
    pub to: SocketAddr,
    /// How many threads send.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// How many messages each of them sends.
    #[arg(long)]
    pub count: u64,
    /// What the threads have in common.
    #[arg(long, value_enum, default_value_t = Sharing::None)]
    pub sharing: Sharing,
    /// How many messages a socket lives for, where each thread has its own.
    #[arg(long, default_value_t = 1)]
    pub each: u64,
    /// `IP_PKTINFO` with this device.
    #[arg(long, value_name = "DEVICE")]
    pub pktinfo: Option<String>,
}

/// What the threads of a storm have in common.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nothing: each makes sockets of its own, one after the other.
    None,
    /// One socket for all.
    One,
    /// Another thread closes each socket while it sends.
    Closed,
}

/// What is sent by io_uring.
#[derive(clap::Args, Debug)]
pub struct Ring {
    /// The destination.
    #[arg(long, value_name = "ADDR:PORT")]
    pub to: SocketAddr,
    /// How many messages.
    #[arg(long, default_value_t = 1)]
    pub count: u64,
}

/// How a socket is handed on.
#[derive(clap::Args, Debug)]
pub struct HandOn {
    /// Keep a copy of the socket.
    #[arg(long)]
    pub keep: bool,
    /// Connect before the socket is handed on.
    #[arg(long)]
    pub connect: bool,
    /// Begin this program in the same process instead of a child.
    #[arg(long, value_name = "PROGRAM")]
    pub becomes: Option<PathBuf>,
    /// What is sent.
    #[command(flatten)]
    pub given: Given,
}

/// What is sent by a socket that is given.
#[derive(clap::Args, Clone, Debug)]
pub struct Given {
    /// The destination; the socket may be connected to it.
    #[arg(long, value_name = "ADDR:PORT")]
    pub to: SocketAddr,
    /// The socket is connected.
    #[arg(long)]
    pub connected: bool,
    /// `bind()` it to this address first.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = endpoint)]
    pub bind: Option<SocketAddr>,
    /// How many messages.
    #[arg(long, default_value_t = 1)]
    pub count: u64,
    /// A descriptor whose end of file is waited for before anything is sent
    #[arg(long, hide = true)]
    pub after: Option<i32>,
}

/// A group that is joined.
#[derive(clap::Args, Debug)]
pub struct Groups {
    /// How the socket is made.
    #[command(flatten)]
    pub intent: Intent,
    /// By which option.
    #[arg(long, value_enum)]
    pub how: How,
    /// The group.
    #[arg(long)]
    pub group: IpAddr,
    /// The interface that the option names.
    #[arg(long)]
    pub interface: Option<String>,
    /// The interface's address that it names.
    #[arg(long)]
    pub address: Option<Ipv4Addr>,
    /// Once it is joined, print `joined` and wait for a line.
    #[arg(long)]
    pub stay: bool,
    /// Whom it is joined for.
    #[arg(long, default_value = "192.0.2.77")]
    pub source: IpAddr,
}

/// One TCP connection: the client sends `--bytes`, the server reads them.
#[derive(clap::Args, Debug)]
pub struct Tcp {
    /// How the socket is made.
    #[command(flatten)]
    pub intent: Intent,
    /// Connect to this address.
    #[arg(long, value_name = "ADDR:PORT", required_unless_present = "listen")]
    pub to: Option<SocketAddr>,
    /// Listen at this address, print `ready`, wait for a line, and serve one connection.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "to")]
    pub listen: Option<SocketAddr>,
    /// Bytes that the client sends.
    #[arg(long, default_value_t = 32)]
    pub bytes: u64,
    /// Once connected, print `connected` and wait for a line.
    #[arg(long)]
    pub pause_connected: bool,
    /// Once all bytes are sent, or received, print `sent`, or `received`, and wait for a line.
    #[arg(long)]
    pub pause_sent: bool,
    /// `IPPROTO_MPTCP`: let the kernel use several ways.
    #[arg(long)]
    pub mptcp: bool,
    /// Who ends the connection.
    #[arg(long, value_enum, default_value_t = Close::First)]
    pub close: Close,
}

/// A program in a sandbox.
#[derive(clap::Args, Debug)]
pub struct RefuseBind {
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// How a side ends its connection.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Closes as soon as all bytes passed: `TIME_WAIT` is on this side.
    First,
    /// Waits for the other's end before it closes.
    Last,
    /// Aborts with a reset as soon as all bytes passed (`SO_LINGER` of zero; `AF_UNSPEC` where it has several ways).
    Reset,
}

fn endpoint(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 0)))
        .map_err(|_| format!("{text:?} is neither ADDR nor ADDR:PORT"))
}
