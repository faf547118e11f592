//! What a finding has seen, by example: the first processes, sockets and destinations, each with its own count.

use std::collections::BTreeSet;

use pinif_ebpf::{
    key::SocketCookie,
    packet::protocol,
    sample::{self, MOST, Of},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flow::{endpoint_text, protocol_text};
use super::process::Process;
use crate::host::processes;

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
    /// Its process id.
    pub pid: u32,
    /// Its name; null where it has ended.
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
            ProcessSample {
                pid,
                comm: processes::name_of(pid, started),
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
    processes: BTreeSet<u32>,
    sockets: BTreeSet<u64>,
    more_processes: bool,
    more_sockets: bool,
}

impl UnseenSenders {
    /// Takes another; whether anything is new.
    pub fn add(&mut self, pid: Option<u32>, socket: Option<SocketCookie>) -> bool {
        let mut is_new = false;
        if let Some(pid) = pid {
            is_new |= add(&mut self.processes, &mut self.more_processes, pid);
        }
        if let Some(socket) = socket {
            is_new |= add(&mut self.sockets, &mut self.more_sockets, socket.0);
        }
        is_new
    }

    /// As a finding has them.
    pub fn samples(&self) -> Samples {
        let processes = self.processes.iter().map(|&pid| ProcessSample {
            pid,
            comm: processes::name_of(pid, 0),
            packets: 0,
        });
        let sockets = self.sockets.iter().map(|&socket_cookie| SocketSample {
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

fn add<T: Ord>(known: &mut BTreeSet<T>, more: &mut bool, one: T) -> bool {
    if known.len() < MOST {
        return known.insert(one);
    }
    let is_new = !*more && !known.contains(&one);
    *more |= is_new;
    is_new
}

#[cfg(test)]
mod tests {
    use pinif_ebpf::{key::Address, packet::Packet, sample::Sample};

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
        for pid in 0..16 {
            assert!(senders.add(Some(pid), None));
            assert!(!senders.add(Some(pid), None));
        }
        assert_eq!(senders.samples().processes.number(), "16");
        assert!(senders.add(Some(16), None));
        assert!(
            !senders.add(Some(17), None),
            "it is known that there are more"
        );
        assert_eq!(senders.samples().processes.number(), "16+");
    }
}
