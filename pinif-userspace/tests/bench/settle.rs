//! Waiting for what the kernel does by itself.

use std::fs;
use std::path::Path;
use std::time::Duration;

use aya::util::KernelVersion;
use pinif_lab::Namespace;
use procfs::net::{TcpNetEntry, TcpState, UdpNetEntry};
use procfs::process::Process;

use super::Bench;
use super::wait::{Events, wait_until};

/// How often `/proc/net/snmp` is read, whose counters the kernel gives no event of. The senders have ended by then, so that
/// most often the first look is enough.
const COUNTERS: Duration = Duration::from_millis(20);
/// How often connections are looked at beside their events: a request for one that is reset ends without an event.
const REQUESTS: Duration = Duration::from_millis(200);

impl Bench {
    /// Waits until every connection of every namespace is over: what the kernel still has to send for it is sent.
    pub fn settle(&self) {
        settle([
            &self.chassis.card,
            &self.chassis.peer,
            &self.chassis.outside,
        ]);
    }

    /// Waits until the card's link to the peer or the outside has sent so many packets: for what no sender's end shows. The
    /// driver counts a packet before the other end gets it (`veth_xmit`).
    pub fn wait_until_sent(&self, link: &str, packets: u64) {
        let events = Events::of_arrivals([&self.chassis.peer, &self.chassis.outside]);
        wait_until("the packets are sent", &events, || {
            self.card().sent(link).expect("the card has it").packets >= packets
        });
    }

    /// How many IP packets the card's network layer was given so far, by any interface: each of them has passed TC ingress.
    pub fn received(&self) -> u64 {
        received_by(self.card())
    }

    /// How many IP packets the network layer of the outside was given so far: what came out of the front port.
    pub fn received_outside(&self) -> u64 {
        received_by(&self.chassis.outside)
    }

    /// Waits until the card's network layer was given so many packets more than `before`.
    pub fn wait_until_received(&self, before: u64, packets: u64) {
        wait_until("the packets are received", &Events::every(COUNTERS), || {
            self.received() >= before + packets
        });
    }

    /// Waits until a UDP socket of this port on the card has something to read.
    pub fn wait_until_asked(&self, port: u16) {
        wait_until("it is asked", &Events::every(COUNTERS), || {
            let sockets = self.card().run(|| -> procfs::ProcResult<Vec<UdpNetEntry>> {
                let own = own_process()?;
                Ok(own.udp()?.into_iter().chain(own.udp6()?).collect())
            });
            let sockets = sockets
                .expect("the card is there")
                .expect("/proc lists them");
            let mut own = sockets
                .iter()
                .filter(|entry| entry.local_address.port() == port);
            own.any(|entry| entry.rx_queue > 0)
        });
    }

    /// Waits until the card has a time-wait socket: its side of a connection is closed, the other's is not yet.
    pub fn wait_for_time_wait(&self) {
        let events = Events::of_connections([self.card()]);
        wait_until("there is a time-wait socket", &events, || {
            self.card()
                .run(time_wait_sockets)
                .expect("the card is there")
                > 0
        });
    }
}

/// Waits until every connection of these namespaces is over.
pub fn settle<const N: usize>(namespaces: [&Namespace; N]) {
    let events = Events::of_connections(namespaces).or(Events::every(REQUESTS));
    wait_until("the connections are over", &events, || {
        let mut all = namespaces.into_iter().flat_map(connections);
        all.all(|entry| matches!(entry.state, TcpState::Listen | TcpState::TimeWait))
    });
}

/// How many IP packets the network layer of a namespace was given so far.
pub fn received_by(namespace: &Namespace) -> u64 {
    namespace
        .run(received_packets)
        .expect("the namespace is there")
}

/// All connections of a namespace, and what listens for them.
pub fn connections(namespace: &Namespace) -> Vec<TcpNetEntry> {
    let entries = namespace.run(|| -> procfs::ProcResult<Vec<TcpNetEntry>> {
        let own = own_process()?;
        Ok(own.tcp()?.into_iter().chain(own.tcp6()?).collect())
    });
    entries
        .expect("the namespace is there")
        .expect("/proc lists its connections")
}

/// This thread, in the network namespace that it is in.
fn own_process() -> procfs::ProcResult<Process> {
    // procfs follows no symbolic link.
    Process::new_with_root(Path::new("/proc").join(fs::read_link("/proc/thread-self")?))
}

/// `InReceives` of `/proc/net/snmp` and `Ip6InReceives` of `/proc/net/snmp6` (RFC 4293): counted first of all in `ip_rcv`.
fn received_packets() -> u64 {
    let read = |name: &str| {
        fs::read_to_string(Path::new("/proc/thread-self/net").join(name)).expect("/proc is mounted")
    };
    let text = read("snmp");
    let mut lines = text.lines().filter(|line| line.starts_with("Ip:"));
    let (names, numbers) = (lines.next().expect("names"), lines.next().expect("numbers"));
    let mut columns = names.split(' ').zip(numbers.split(' '));
    let v4 = columns.find(|(name, _)| *name == "InReceives");
    let text = read("snmp6");
    let v6 = text
        .lines()
        .find_map(|line| line.strip_prefix("Ip6InReceives"));
    [v4.expect("InReceives").1, v6.expect("Ip6InReceives")]
        .map(|number| number.trim().parse::<u64>().expect("a number"))
        .iter()
        .sum()
}

/// Whether what a time-wait socket answers is its own packet. Until Linux 6.13 the kernel's control socket sent it
/// (`ip_send_unicast_reply`).
pub fn time_wait_has_packets() -> bool {
    is_since(KernelVersion::new(6, 13, 0))
}

/// Whether a packet that passes a pair of the host's own into a bridge keeps its socket: seen on Linux 6.12, and not on 6.18.
pub fn pairs_keep_sockets() -> bool {
    !is_since(KernelVersion::new(6, 13, 0))
}

/// Whether an interface that is up can be given another name.
pub fn renames_what_is_up() -> bool {
    is_since(KernelVersion::new(6, 2, 0))
}

fn is_since(kernel: KernelVersion) -> bool {
    KernelVersion::current().is_ok_and(|current| current >= kernel)
}

/// The `tw` of `/proc/net/sockstat`: sockets that are no full sockets any more, `FIN_WAIT2` among them.
fn time_wait_sockets() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/sockstat").expect("/proc is mounted");
    let mut words = text
        .lines()
        .find(|line| line.starts_with("TCP:"))
        .expect("TCP")
        .split(' ');
    words
        .find(|word| *word == "tw")
        .and_then(|_| words.next())
        .expect("tw")
        .parse()
        .expect("a number")
}
