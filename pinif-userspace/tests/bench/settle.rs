//! Waiting for what the kernel does by itself.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use aya::util::KernelVersion;
use pinif_userspace::lab::{Namespace, patience};
use procfs::net::TcpState;
use procfs::process::Process;

use super::Bench;

const PATIENCE: Duration = Duration::from_secs(30);

impl Bench {
    /// Waits until every connection of every namespace is over: what the kernel still has to send for it is sent.
    pub fn settle(&self) {
        for namespace in [
            &self.chassis.card,
            &self.chassis.peer,
            &self.chassis.outside,
        ] {
            wait_until("the connections are over", || {
                connections(namespace)
                    .iter()
                    .all(|state| matches!(state, TcpState::Listen | TcpState::TimeWait))
            });
        }
    }

    /// Waits until somebody listens for connections in the namespace.
    pub fn wait_for_listener(&self, namespace: &Namespace) {
        wait_until("somebody listens", || {
            connections(namespace).contains(&TcpState::Listen)
        });
    }

    /// Waits until the card's link has sent so many packets: for what no sender's end tells of.
    pub fn wait_until_sent(&self, link: &str, packets: u64) {
        wait_until("the packets are sent", || {
            self.card().sent(link).expect("the card has it").packets >= packets
        });
    }

    /// How many IP packets the card's network layer was given so far, by any interface: each of them has passed TC ingress.
    pub fn received(&self) -> u64 {
        self.card()
            .run(received_packets)
            .expect("the card is there")
    }

    /// How many IP packets the network layer of the outside was given so far: what came out of the front port.
    pub fn received_outside(&self) -> u64 {
        self.chassis
            .outside
            .run(received_packets)
            .expect("the outside is there")
    }

    /// Waits until the card's network layer was given so many packets more than `before`.
    pub fn wait_until_received(&self, before: u64, packets: u64) {
        wait_until("the packets are received", || {
            self.received() >= before + packets
        });
    }

    /// Waits until the card has a time-wait socket: its side of a connection is closed, the other's is not yet.
    pub fn wait_for_time_wait(&self) {
        wait_until("there is a time-wait socket", || {
            self.card()
                .run(time_wait_sockets)
                .expect("the card is there")
                > 0
        });
    }
}

/// Waits for what nothing tells of, by asking again and again.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience(PATIENCE);
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        thread::yield_now();
    }
}

fn connections(namespace: &Namespace) -> Vec<TcpState> {
    let states = namespace.run(|| -> procfs::ProcResult<Vec<TcpState>> {
        // procfs follows no symbolic link.
        let thread = Path::new("/proc").join(fs::read_link("/proc/thread-self")?);
        let myself = Process::new_with_root(thread)?;
        let entries = myself.tcp()?.into_iter().chain(myself.tcp6()?);
        Ok(entries.map(|entry| entry.state).collect())
    });
    states
        .expect("the namespace is there")
        .expect("/proc tells of its connections")
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
