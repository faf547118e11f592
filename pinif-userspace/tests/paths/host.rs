//! A host without a kernel: a process, its sockets, two interfaces, and the programs where an audit attaches them.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use pinif_ebpf::{entry, key::NetNsCookie};
use pinif_interpreter::{Count, Input, Machine, Packet, Socket};
use pinif_userspace::kernel::Object;

use super::{
    frame::{ETHERNET, Flow, TCP, UDP},
    state::{self, Interface},
    structures::{OFFSETS, bpf_sock, bpf_sock_addr, bpf_sockopt, sk_buff, structure},
    surroundings::Surroundings,
};

/// The entry programs.
const EGRESS: &str = "pinif_leaves";
const INGRESS: &str = "pinif_arrives";
/// `TC_ACT_UNSPEC`: the packet goes on.
const UNSPEC: u32 = u32::MAX;
/// What a cgroup hook returns so that the call goes on.
const ALLOW: u32 = 1;
/// `AF_INET`.
const INET: u32 = 2;
/// `AF_INET6`.
const INET6: u32 = 10;
/// `SO_BINDTODEVICE` of `SOL_SOCKET`.
const BIND_TO_DEVICE: (u32, u32) = (1, 25);

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process's, of UDP.
    Datagram,
    /// The same over IPv6.
    DatagramV6,
    /// A process's, of TCP.
    Stream,
    /// The kernel's own, by which it answers.
    Kernels,
    /// A connection that is not accepted yet, of this listener's.
    Request(Sock),
    /// A connection in TIME_WAIT, which had this cookie.
    TimeWait(u64),
}

/// A socket, by the address of its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sock(u64);

/// The host.
pub struct Host {
    pub machine: Machine,
    around: Surroundings,
    cookies: u64,
    /// The bytes that have left.
    pub sent: u64,
}

impl Host {
    /// A host that is audited under a policy.
    ///
    /// # Errors
    ///
    /// Where pinif was built without its programs, or they are others than are known here.
    pub fn new(policy: &str) -> Result<Self> {
        let object = Object::Audit.bytes();
        ensure!(
            !object.is_empty(),
            "there are no eBPF programs: `cargo xtask build` makes them"
        );
        let constants: [(&str, &[u8]); 6] = [
            ("OFFSETS", state::bytes(&OFFSETS)),
            ("PID_NAMESPACE", &0u32.to_ne_bytes()),
            ("MARK_SECRET", &0x1234_5678u32.to_ne_bytes()),
            ("REPLIES", &0u32.to_ne_bytes()),
            ("HEARS_ALL", &1u32.to_ne_bytes()),
            ("AYA_LOG_LEVEL", &[0]),
        ];
        let mut machine = Machine::load(object, &constants)?;
        let netns = NetNsCookie(machine.kernel.netns);
        for (place, program, traffic) in [
            (entry::EGRESS, EGRESS, "pinif_egress"),
            (entry::INGRESS, INGRESS, "pinif_ingress"),
        ] {
            machine.put_constant(program, entry::PLACEHOLDER.0, netns.0)?;
            machine.put_program("TRAFFIC", place, traffic)?;
        }
        state::write(&mut machine, policy, netns)?;
        let around = Surroundings::make(&mut machine)?;
        Ok(Self {
            machine,
            around,
            cookies: 0,
            sent: 0,
        })
    }

    /// Makes a socket's structure; no program runs.
    pub fn sock(&mut self, kind: Kind) -> Sock {
        let (type_, protocol) = match kind {
            Kind::Datagram | Kind::DatagramV6 => (2u32, UDP),
            Kind::Kernels => (3, TCP),
            Kind::Stream | Kind::Request(_) | Kind::TimeWait(_) => (1, TCP),
        };
        let family = match kind {
            Kind::DatagramV6 => INET6,
            _ => INET,
        };
        let socket = match kind {
            Kind::Datagram | Kind::DatagramV6 | Kind::Stream => self.around.socket,
            Kind::Kernels => self.around.kernels_socket,
            Kind::Request(_) | Kind::TimeWait(_) => 0,
        };
        self.cookies += 1;
        let cookie = match kind {
            Kind::TimeWait(cookie) => cookie,
            _ => self.cookies,
        };
        // `TCP_NEW_SYN_RECV`, `TCP_TIME_WAIT`; of what is not asked for, `TCP_ESTABLISHED`.
        let state = match kind {
            Kind::Request(_) => 12u32,
            Kind::TimeWait(_) => 6,
            _ => 1,
        };
        let user = if kind == Kind::Kernels {
            0
        } else {
            self.machine.kernel.user
        };
        let at = self.machine.allocate(structure(&[
            (bpf_sock::FAMILY, &family.to_ne_bytes()),
            (bpf_sock::KIND, &type_.to_ne_bytes()),
            (bpf_sock::STATE, &state.to_ne_bytes()),
            (bpf_sock::PROTOCOL, &u32::from(protocol).to_ne_bytes()),
            (OFFSETS.sock_socket, &socket.to_ne_bytes()),
            (OFFSETS.sock_netns, &self.around.net.to_ne_bytes()),
            (OFFSETS.sock_family, &(family as u16).to_ne_bytes()),
            (OFFSETS.sock_cookie, &cookie.to_ne_bytes()),
            (OFFSETS.sock_uid, &user.to_ne_bytes()),
            (OFFSETS.sock_cgroup, &self.around.cgroup.to_ne_bytes()),
        ]));
        let listener = match kind {
            Kind::Request(Sock(listener)) => Some(listener),
            _ => None,
        };
        let socket = Socket {
            cookie,
            user,
            is_full: !matches!(kind, Kind::Request(_) | Kind::TimeWait(_)),
            listener,
        };
        self.machine.kernel.sockets.insert(at, socket);
        Sock(at)
    }

    /// `socket()`.
    ///
    /// # Errors
    ///
    /// Where the program does what it may not.
    pub fn create(&mut self, kind: Kind) -> Result<(Sock, Count)> {
        let sock = self.sock(kind);
        Ok((sock, self.at_socket("pinif_create", sock)?))
    }

    /// `setsockopt(SO_BINDTODEVICE)`.
    ///
    /// # Errors
    ///
    /// As of [`Self::create`].
    pub fn bind_to_device(&mut self, sock: Sock, interface: Interface) -> Result<Count> {
        let mut name = [0; 16];
        name[..interface.name.len()].copy_from_slice(interface.name.as_bytes());
        let value = self.machine.allocate(name.to_vec());
        let (level, option) = BIND_TO_DEVICE;
        let context = structure(&[
            (bpf_sockopt::SOCKET, &sock.0.to_ne_bytes()),
            (bpf_sockopt::VALUE, &value.to_ne_bytes()),
            (bpf_sockopt::VALUE_END, &(value + 16).to_ne_bytes()),
            (bpf_sockopt::LEVEL, &level.to_ne_bytes()),
            (bpf_sockopt::NAME, &option.to_ne_bytes()),
            (bpf_sockopt::LENGTH, &16u32.to_ne_bytes()),
        ]);
        let count = self.at_call("pinif_setsockopt", context, sock)?;
        self.bound(sock, interface)?;
        Ok(count)
    }

    /// `bind()` to an address.
    ///
    /// # Errors
    ///
    /// As of [`Self::create`].
    pub fn bind(&mut self, sock: Sock, address: Ipv4Addr, port: u16) -> Result<Count> {
        self.put(sock, bpf_sock::LOCAL_ADDRESS, &address.octets())?;
        self.put(sock, bpf_sock::LOCAL_PORT, &u32::from(port).to_ne_bytes())?;
        self.at_socket("pinif_post_bind4", sock)
    }

    /// `connect()`. The kernel chooses the port behind the program, where it has to (`inet_dgram_connect`).
    ///
    /// # Errors
    ///
    /// As of [`Self::create`].
    pub fn connect(&mut self, sock: Sock, port: u16) -> Result<Count> {
        let count = self.at_address(["pinif_connect4", "pinif_connect6"], sock)?;
        self.put(sock, bpf_sock::LOCAL_PORT, &u32::from(port).to_ne_bytes())?;
        Ok(count)
    }

    /// `sendmsg()` with an address. The kernel has chosen the port before the program runs (`inet_send_prepare`).
    ///
    /// # Errors
    ///
    /// As of [`Self::create`].
    pub fn send_to(&mut self, sock: Sock, port: u16) -> Result<Count> {
        self.put(sock, bpf_sock::LOCAL_PORT, &u32::from(port).to_ne_bytes())?;
        self.at_address(["pinif_sendmsg4", "pinif_sendmsg6"], sock)
    }

    /// The cookie of a socket.
    pub fn cookie(&self, sock: Sock) -> u64 {
        let socket = self.machine.kernel.sockets.get(&sock.0);
        socket.map_or(0, |socket| socket.cookie)
    }

    /// `listen()`; no program runs.
    ///
    /// # Errors
    ///
    /// Where there is no such socket.
    pub fn listen(&mut self, sock: Sock) -> Result<()> {
        const LISTEN: u32 = 10;
        self.put(sock, bpf_sock::STATE, &LISTEN.to_ne_bytes())
    }

    /// The kernel makes the socket of a connection; no program runs.
    ///
    /// # Errors
    ///
    /// Where there is no such socket.
    pub fn accept(&mut self, listener: Sock, port: u16) -> Result<Sock> {
        let sock = self.sock(Kind::Stream);
        self.put(sock, bpf_sock::LOCAL_PORT, &u32::from(port).to_ne_bytes())?;
        self.machine.clone_storage("RECORDS", listener.0, sock.0)?;
        Ok(sock)
    }

    /// `close()`.
    ///
    /// # Errors
    ///
    /// As of [`Self::create`].
    pub fn close(&mut self, sock: Sock) -> Result<Count> {
        self.at_socket("pinif_release", sock)
    }

    /// A packet leaves by an interface, of this socket or of none; `arrived` is where it came in.
    ///
    /// # Errors
    ///
    /// As of [`Self::create`].
    pub fn send(
        &mut self,
        sock: Option<Sock>,
        flow: &Flow,
        interface: Interface,
        arrived: Option<Interface>,
    ) -> Result<Count> {
        self.sent += flow.frame().len() as u64;
        self.pass(EGRESS, sock, flow, interface, arrived)
    }

    /// A packet arrives by an interface, for this socket or for none.
    ///
    /// # Errors
    ///
    /// As of [`Self::create`].
    pub fn receive(
        &mut self,
        receiver: Option<Sock>,
        flow: &Flow,
        interface: Interface,
    ) -> Result<Count> {
        self.machine.kernel.receiver = receiver.map(|sock| sock.0);
        self.pass(INGRESS, None, flow, interface, Some(interface))
    }

    fn pass(
        &mut self,
        program: &str,
        sock: Option<Sock>,
        flow: &Flow,
        interface: Interface,
        arrived: Option<Interface>,
    ) -> Result<Count> {
        let frame = flow.frame();
        let length = frame.len() as u32;
        let start = self.machine.allocate(frame);
        let socket = sock.map_or(0, |sock| sock.0);
        let arrived = arrived.map_or(0, |interface| interface.index.0);
        let device = self.around.device(interface);
        let context = self.machine.allocate(structure(&[
            (sk_buff::LENGTH, &length.to_ne_bytes()),
            (
                sk_buff::PROTOCOL,
                &u32::from(flow.ethertype().to_be()).to_ne_bytes(),
            ),
            (sk_buff::ARRIVED, &arrived.to_ne_bytes()),
            (sk_buff::INTERFACE, &interface.index.0.to_ne_bytes()),
            (sk_buff::DATA, &(start as u32).to_ne_bytes()),
            (sk_buff::DATA_END, &(start as u32 + length).to_ne_bytes()),
            (sk_buff::WIRE_LENGTH, &length.to_ne_bytes()),
            (sk_buff::SEGMENTS, &flow.segments.to_ne_bytes()),
            (sk_buff::SOCKET, &socket.to_ne_bytes()),
            (
                sk_buff::SEGMENT_SIZE,
                &(u32::from(flow.segments > 1) * 1448).to_ne_bytes(),
            ),
            (OFFSETS.packet_device, &device.to_ne_bytes()),
        ]));
        let input = Input {
            context,
            socket,
            packet: Some(Packet {
                start,
                link: ETHERNET,
            }),
        };
        self.run(program, &input, UNSPEC)
    }

    /// The device that the kernel has for a socket.
    ///
    /// # Errors
    ///
    /// Where there is no such socket.
    pub fn bound(&mut self, sock: Sock, interface: Interface) -> Result<()> {
        let index = interface.index.0.to_ne_bytes();
        self.put(sock, OFFSETS.sock_bound_device, &index)?;
        self.put(sock, bpf_sock::BOUND_DEVICE, &index)
    }

    fn put(&mut self, sock: Sock, at: u32, bytes: &[u8]) -> Result<()> {
        self.machine.write(sock.0 + u64::from(at), bytes)
    }

    /// A hook whose context is the socket.
    fn at_socket(&mut self, program: &str, sock: Sock) -> Result<Count> {
        let input = Input {
            context: sock.0,
            socket: sock.0,
            packet: None,
        };
        self.run(program, &input, ALLOW)
    }

    /// A hook whose context is an address and its socket: the program for IPv4, or for IPv6.
    fn at_address(&mut self, [v4, v6]: [&str; 2], sock: Sock) -> Result<Count> {
        let family = sock.0 + u64::from(bpf_sock::FAMILY);
        let (program, family) = if self.machine.read(family, 4)? == INET6.to_ne_bytes() {
            (v6, INET6)
        } else {
            (v4, INET)
        };
        let context = structure(&[
            (bpf_sock_addr::FAMILY, &family.to_ne_bytes()),
            (bpf_sock_addr::SOCKET, &sock.0.to_ne_bytes()),
        ]);
        self.at_call(program, context, sock)
    }

    /// A hook with a context of its own.
    fn at_call(&mut self, program: &str, context: Vec<u8>, sock: Sock) -> Result<Count> {
        let input = Input {
            context: self.machine.allocate(context),
            socket: sock.0,
            packet: None,
        };
        self.run(program, &input, ALLOW)
    }

    fn run(&mut self, program: &str, input: &Input, wanted: u32) -> Result<Count> {
        let (returned, count) = self.machine.run(program, input)?;
        ensure!(
            returned == wanted,
            "{program} returned {returned}: what it watches goes on no longer"
        );
        Ok(count)
    }
}
