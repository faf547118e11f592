//! A finding that a report must have.

use pinif_ebpf::verdict::{CellVerdict, Kind};
use pinif_userspace::findings::line::{FindingLine, RelatedLine, Subject};
use pinif_userspace::findings::samples::Samples;

use super::carry::on_card;
use super::report::{Place, verdict};
use super::sender::Sent;

/// How the explanation of what was dropped ends: of packets that were to leave, of those that arrived, and of a group that was not joined.
const DROPPED: [&str; 3] = [
    "It was dropped, and did not leave.",
    "It was dropped where it arrived, and nothing received it.",
    "The group was not joined (EPERM), so that the kernel reported none there.",
];

/// A finding, or the part of it that one sender has: what one program sent in several processes and by several sockets is one
/// finding. Whatever is set must hold exactly.
#[derive(Clone, Debug)]
pub struct Finding {
    pub(super) kind: &'static str,
    pub(super) severity: &'static str,
    bound: Option<String>,
    egress: String,
    pub(super) packets: u64,
    dropped: bool,
    process: Option<Process>,
    protocol: Option<&'static str>,
    rule: Option<&'static str>,
    address: Option<&'static str>,
    source: Option<String>,
    destination: Option<&'static str>,
    causes: Vec<&'static str>,
    fixes: Vec<&'static str>,
    related: Vec<Finding>,
}

/// The process that a finding must name.
#[derive(Clone, Debug)]
struct Process {
    pid: u32,
    comm: String,
    cookie: Option<u64>,
}

/// A finding that is a leak.
pub fn leak(kind: &'static str) -> Finding {
    Finding::new(kind, "leak")
}

/// A finding that is a risk.
pub fn risk(kind: &'static str) -> Finding {
    Finding::new(kind, "risk")
}

/// A finding that is a note.
pub fn note(kind: &'static str) -> Finding {
    Finding::new(kind, "note")
}

impl Finding {
    fn new(kind: &'static str, severity: &'static str) -> Self {
        Self {
            kind,
            severity,
            bound: None,
            egress: String::new(),
            packets: 0,
            dropped: false,
            process: None,
            protocol: None,
            rule: None,
            address: None,
            source: None,
            destination: None,
            causes: Vec::new(),
            fixes: Vec::new(),
            related: Vec::new(),
        }
    }

    /// The bound device; none unless this is called.
    pub fn bound(self, device: &str) -> Self {
        Self {
            bound: Some(device.to_owned()),
            ..self
        }
    }

    /// Where it left.
    pub fn egress(self, interface: &str) -> Self {
        Self {
            egress: interface.to_owned(),
            ..self
        }
    }

    /// How many packets, exactly.
    pub fn packets(self, packets: u64) -> Self {
        Self { packets, ..self }
    }

    /// They were dropped; they left unless this is called.
    pub fn dropped(self) -> Self {
        Self {
            dropped: true,
            ..self
        }
    }

    /// By this sender and its socket; by no process unless one of these is called.
    pub fn by(self, sent: &Sent) -> Self {
        self.by_process("pinif-sender", sent.pid, Some(sent.cookie))
    }

    /// By a program that [`super::Bench::program`] ran.
    pub fn by_program(self, name: &str, pid: u32) -> Self {
        self.by_process(name, pid, None)
    }

    fn by_process(self, comm: &str, pid: u32, cookie: Option<u64>) -> Self {
        let comm = comm.to_owned();
        Self {
            process: Some(Process { pid, comm, cookie }),
            ..self
        }
    }

    /// The protocol's name.
    pub fn protocol(self, protocol: &'static str) -> Self {
        Self {
            protocol: Some(protocol),
            ..self
        }
    }

    /// The rule that it breaks.
    pub fn rule(self, rule: &'static str) -> Self {
        Self {
            rule: Some(rule),
            ..self
        }
    }

    /// The bound address.
    pub fn bound_address(self, address: &'static str) -> Self {
        Self {
            address: Some(address),
            ..self
        }
    }

    /// The source, with port.
    pub fn source(self, source: &str) -> Self {
        Self {
            source: Some(source.to_owned()),
            ..self
        }
    }

    /// The destination, with port.
    pub fn destination(self, destination: &'static str) -> Self {
        Self {
            destination: Some(destination),
            ..self
        }
    }

    /// Words that the cause must have in it.
    pub fn cause(mut self, words: &'static str) -> Self {
        self.causes.push(words);
        self
    }

    /// Words that the fix must have in it.
    pub fn remedy(mut self, words: &'static str) -> Self {
        self.fixes.push(words);
        self
    }

    /// With these packets of the same connections, which are named in it.
    pub fn with(mut self, related: Finding) -> Self {
        self.related.push(related);
        self
    }

    /// Those that are named in it.
    pub(super) fn related(&self) -> &[Finding] {
        &self.related
    }

    /// Whether a finding's line names these packets so.
    pub(super) fn is_named(&self, line: &RelatedLine) -> bool {
        line.kind.name() == self.kind
            && line.severity.name() == self.severity
            && line.bound_device == self.bound
            && line.egress_interface == self.egress
            && same(self.rule, line.rule.as_deref())
            && same(self.protocol, Some(&line.protocol))
            && same(self.source.as_deref(), Some(&line.source))
            && same(self.destination, Some(&line.destination))
    }

    /// Its kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it may be this finding's, or a part of it: a finding is of all processes of a program, and all their sockets.
    pub(super) fn fits(&self, line: &FindingLine, netns: &str) -> bool {
        line.netns == netns
            && line.kind.name() == self.kind
            && line.severity.name() == self.severity
            && line.bound_device == self.bound
            && line.egress_interface == self.egress
            && line.dropped == self.dropped
            && DROPPED.iter().any(|words| line.explanation.ends_with(words)) == self.dropped
            && same(self.rule, line.rule.as_deref())
            && self.is_seen(line)
            // What comes from no packet is distinguished by its cause.
            && (self.packets > 0 || self.causes.iter().all(|words| line.cause.contains(words)))
            && !line.explanation.is_empty()
            && !line.remedy.is_empty()
    }

    /// Whether the finding has seen these packets: among its samples, of which it has the first 16 of each.
    fn is_seen(&self, line: &FindingLine) -> bool {
        let Samples {
            processes,
            sockets,
            destinations,
        } = &line.samples;
        let by = match &self.process {
            Some(_) if self.is_by(line) => true,
            Some(Process { pid, cookie, .. }) => {
                let mut all = processes.samples.iter();
                let has_process = processes.more
                    || all.any(|one| one.pid == Some(*pid) && one.packets >= self.packets);
                let mut all = sockets.samples.iter();
                let has_socket = |cookie: u64| {
                    sockets.more
                        || all.any(|one| one.socket_cookie == cookie && one.packets == self.packets)
                };
                has_process && cookie.is_none_or(has_socket)
            }
            None => line.process.is_none() && self.is_from(line),
        };
        let mut all = destinations.samples.iter();
        let sent = (self.protocol, self.destination) == (None, None)
            || destinations.more
            || self.is_of_first_packet(line)
            || all.any(|one| {
                same(self.protocol, Some(&one.protocol))
                    && same(self.destination, Some(&one.destination))
                    && one.packets >= self.packets
            });
        by && sent
    }

    /// Whether it is what the finding says of its first packet.
    pub(super) fn is_of_first_packet(&self, line: &FindingLine) -> bool {
        self.is_by(line)
            && same(self.protocol, Some(&line.protocol))
            && same(self.address, line.bound_address.as_deref())
            && same(self.source.as_deref(), Some(&line.source))
            && same(self.destination, Some(&line.destination))
            && self.causes.iter().all(|words| line.cause.contains(words))
            && self
                .fixes
                .iter()
                .all(|words| on_card(line, &line.remedy).contains(words))
    }

    /// Whether the first packet is of this process and socket.
    fn is_by(&self, line: &FindingLine) -> bool {
        match (&self.process, &line.process) {
            (Some(wanted), Some(process)) => {
                process.pid == Some(wanted.pid)
                    && process.comm == wanted.comm
                    && process.uid == 0
                    && wanted
                        .cookie
                        .is_none_or(|cookie| line.socket_cookie == Some(cookie))
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether the local address, which distinguishes what the kernel sends by itself from another of its findings, is the source's.
    fn is_from(&self, line: &FindingLine) -> bool {
        match (&self.source, &line.subject) {
            (
                Some(source),
                Some(Subject::Kernel {
                    address: Some(address),
                    ..
                }),
            ) => source.contains(address),
            _ => true,
        }
    }

    pub(super) fn place(&self) -> Place {
        (
            self.bound.clone(),
            self.egress.clone(),
            verdict(CellVerdict::Found(named(self.kind)), self.dropped),
        )
    }
}

/// The kind of this name.
fn named(name: &str) -> Kind {
    let mut all = Kind::ALL.into_iter();
    all.find(|kind| kind.name() == name)
        .unwrap_or_else(|| panic!("there is no kind {name}"))
}

fn same(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| found == Some(wanted))
}
