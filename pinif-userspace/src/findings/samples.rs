//! What a finding has seen, by example: the first processes, sockets and destinations, each with its own count.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use pinif_ebpf::{
    intent::Owner,
    key::SocketCookie,
    packet::protocol,
    sample::{self, MOST, Of},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flow::{endpoint_text, protocol_text};
use super::process::Process;
use crate::host::{
    attributes::text,
    processes::{self, ProcessId},
};

/// What a finding has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Samples {
    /// The processes that sent; of `ingress-escape`, that receive.
    #[serde(default)]
    pub processes: Sampled<ProcessSample>,
    /// Their sockets.
    #[serde(default)]
    pub sockets: Sampled<SocketSample>,
    /// Where the packets went.
    #[serde(default)]
    pub destinations: Sampled<DestinationSample>,
}

/// The first of something, at most 16, and whether there were more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sampled<T> {
    /// How many there were: exact, unless there were `more`.
    pub count: u64,
    /// There were more than the 16 that are known.
    pub more: bool,
    /// The first of them.
    pub samples: Vec<T>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessSample {
    /// Its process id, in the PID namespace of pinif's `/proc`; null where it is not in there.
    pub pid: Option<u32>,
    /// Its name; null where it is not known, since it has ended or has no number here.
    pub comm: Option<String>,
    /// Its packets in this finding.
    pub packets: u64,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SocketSample {
    /// Its cookie (`SO_COOKIE`).
    pub socket_cookie: u64,
    /// Its packets in this finding.
    pub packets: u64,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationSample {
    /// The protocol, as in the finding's `protocol`.
    pub protocol: String,
    /// The address, and the port if there is one, as in the finding's `destination`.
    pub destination: String,
    /// Its packets in this finding.
    pub packets: u64,
}

impl DestinationSample {
    /// Its address alone.
    pub fn address(&self) -> Option<IpAddr> {
        let text = self.destination.as_str();
        let with_port = text.parse().map(|end: SocketAddr| end.ip());
        with_port.or_else(|_| text.parse()).ok()
    }
}

impl<T> Default for Sampled<T> {
    fn default() -> Self {
        Self {
            count: 0,
            more: false,
            samples: Vec::new(),
        }
    }
}

impl<T> Sampled<T> {
    fn of(samples: Vec<T>, more: bool) -> Self {
        Self {
            count: samples.len() as u64,
            more,
            samples,
        }
    }

    /// How many, in words: `3`, or `16+`.
    pub fn number(&self) -> String {
        let more = if self.more { "+" } else { "" };
        format!("{}{more}", self.count)
    }
}

impl Samples {
    /// What the programs have written; names are those that the processes have now.
    pub fn of(samples: &sample::Samples) -> Self {
        let processes = samples.of(Of::Process).map(|sample| {
            let sample::Process { pid, started } = sample.process();
            let pid = Some(pid).filter(|&pid| pid != 0);
            ProcessSample {
                pid,
                comm: pid.and_then(|pid| processes::name_of(ProcessId { pid, started })),
                packets: sample.packets,
            }
        });
        let sockets = samples.of(Of::Socket).map(|sample| SocketSample {
            socket_cookie: sample.socket().0,
            packets: sample.packets,
        });
        let destinations = samples.of(Of::Destination).map(|sample| {
            let to = sample.destination();
            let port = protocol::has_ports(to.protocol).then_some(to.port);
            DestinationSample {
                protocol: protocol_text(to.protocol),
                destination: endpoint_text(to.address.ip(), port.filter(|&port| port != 0)),
                packets: sample.packets,
            }
        });
        Self {
            processes: Sampled::of(processes.collect(), samples.has_more(Of::Process)),
            sockets: Sampled::of(sockets.collect(), samples.has_more(Of::Socket)),
            destinations: Sampled::of(destinations.collect(), samples.has_more(Of::Destination)),
        }
    }

    /// Names the process that really has the one socket that was seen: the programs know the one that made it, or none.
    pub fn correct(&mut self, process: Option<&Process>) {
        let (sockets, processes) = (&self.sockets, &mut self.processes);
        if let Some(process) = process
            && let [socket] = &sockets.samples[..]
            && processes.count <= 1
            && !sockets.more
            && !processes.more
        {
            *processes = Sampled::of(
                vec![ProcessSample {
                    pid: process.pid,
                    comm: Some(process.comm.clone()),
                    packets: socket.packets,
                }],
                false,
            );
        }
    }
}

/// The senders of what cannot be seen: there is nothing to count of each.
#[derive(Clone, Debug, Default)]
pub struct UnseenSenders {
    /// By number, zero where it has none here, and start; with the name that the kernel knew.
    processes: BTreeMap<(u32, u64), String>,
    sockets: BTreeMap<u64, ()>,
    more_processes: bool,
    more_sockets: bool,
}

impl UnseenSenders {
    /// Takes another; whether anything is new.
    pub fn add(&mut self, owner: Option<&Owner>, socket: Option<SocketCookie>) -> bool {
        let mut is_new = false;
        if let Some(owner) = owner.filter(|owner| owner.is_known()) {
            let (id, comm) = ((owner.pid, owner.started), text(&owner.comm.0));
            is_new |= add(&mut self.processes, &mut self.more_processes, id, comm);
        }
        if let Some(socket) = socket {
            is_new |= add(&mut self.sockets, &mut self.more_sockets, socket.0, ());
        }
        is_new
    }

    /// As a finding has them.
    pub fn samples(&self) -> Samples {
        let processes = self.processes.iter().map(|(&(pid, started), comm)| {
            let pid = Some(pid).filter(|&pid| pid != 0);
            let now = pid.and_then(|pid| processes::name_of(ProcessId { pid, started }));
            ProcessSample {
                pid,
                comm: now.or_else(|| Some(comm.clone())),
                packets: 0,
            }
        });
        let sockets = self.sockets.keys().map(|&socket_cookie| SocketSample {
            socket_cookie,
            packets: 0,
        });
        Samples {
            processes: Sampled::of(processes.collect(), self.more_processes),
            sockets: Sampled::of(sockets.collect(), self.more_sockets),
            destinations: Sampled::default(),
        }
    }
}

fn add<K: Ord, V>(known: &mut BTreeMap<K, V>, more: &mut bool, key: K, value: V) -> bool {
    if known.len() < MOST {
        return known.insert(key, value).is_none();
    }
    let is_new = !*more && !known.contains_key(&key);
    *more |= is_new;
    is_new
}

#[cfg(test)]
mod tests {
    use pinif_ebpf::{intent::Name, key::Address, packet::Packet, sample::Sample};

    use super::*;

    #[test]
    fn what_the_programs_wrote_is_read() {
        let mut written = sample::Samples::default();
        written.lists[Of::Socket as usize][0] = Sample {
            key: Sample::of_socket(SocketCookie(7)),
            packets: 3,
        };
        let packet = Packet {
            protocol: 17,
            destination_port: 9,
            ..Packet::default()
        };
        written.lists[Of::Destination as usize][0] = Sample {
            key: Sample::of_destination(&packet, Address::v4([10, 0, 0, 2]).words()),
            packets: 3,
        };
        written.more[Of::Socket as usize] = 1;
        let samples = Samples::of(&written);
        assert_eq!(samples.sockets.number(), "1+");
        assert_eq!(samples.sockets.samples[0].socket_cookie, 7);
        assert_eq!(samples.destinations.samples[0].destination, "10.0.0.2:9");
        assert_eq!(samples.destinations.samples[0].protocol, "udp");
        assert_eq!(samples.processes, Sampled::default());
    }

    #[test]
    fn of_unseen_senders_sixteen_are_known_and_that_there_are_more() {
        let mut senders = UnseenSenders::default();
        let owner = |started| Owner {
            started,
            ..Owner::default()
        };
        assert!(!senders.add(Some(&owner(0)), None), "it is not known");
        for started in 1..=16 {
            assert!(senders.add(Some(&owner(started)), None));
            assert!(!senders.add(Some(&owner(started)), None));
        }
        assert_eq!(senders.samples().processes.number(), "16");
        assert!(senders.add(Some(&owner(17)), None));
        assert!(
            !senders.add(Some(&owner(18)), None),
            "it is known that there are more"
        );
        assert_eq!(senders.samples().processes.number(), "16+");
    }

    /// The number is this process's by now: its name is not the sender's.
    #[test]
    fn an_unseen_sender_that_has_ended_has_the_name_that_the_kernel_knew() {
        let mut senders = UnseenSenders::default();
        let owner = |pid, started| Owner {
            pid,
            started,
            comm: Name::of(b"tcpreplay"),
            ..Owner::default()
        };
        let own = std::process::id();
        let (ended, unnumbered) = (owner(own, 1), owner(0, 1));
        assert!(senders.add(Some(&ended), None) && senders.add(Some(&unnumbered), None));
        let sample = |pid| ProcessSample {
            pid,
            comm: Some("tcpreplay".to_owned()),
            packets: 0,
        };
        let samples = senders.samples().processes.samples;
        assert_eq!(samples, [sample(None), sample(Some(own))]);
    }
}
