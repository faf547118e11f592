//! What the kernel itself makes of a frame: nftables' view of a packet (`nft_set_pktinfo_ipv4_validate`, `ipv6_find_hdr`), at the
//! ingress of an interface.
//!
//! Each frame has a source address of its own. A rule enters this address into a set, with the protocol behind all extension
//! headers; another rule, with the first two words behind that as well. So the sets have, for each frame, what the kernel found in it.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::IpAddr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};
use pinif_ebpf::packet::{NotParsed, protocol};
use pinif_lab::{Namespace, patience, socket};
use socket2::Socket;

use super::{
    Frame, Parsed,
    generate::{cut, set_length, undamaged},
    read,
};

/// So many frames are in the sets at once.
const AT_ONCE: u64 = 20_000;
/// So many are sent without waiting: the kernel queues a thousand (`net.core.netdev_max_backlog`).
const WITHOUT_WAITING: u64 = 256;
/// The ethertype of what is waited for (IEEE 802, local experimental 1).
const MARKER: u16 = 0x88b5;
/// The authentication header.
const AUTHENTICATION: u8 = 51;
/// The link that frames are sent by.
const NEAR: &str = "near";
/// The link at which they arrive.
const FAR: &str = "far";

/// The rules. What a rule looks for and is not there ends it.
const RULES: &str = r#"
table netdev parser {
    set v4 { type ipv4_addr . inet_proto; flags dynamic; size 65536; }
    set v4_words { type ipv4_addr . inet_proto . inet_service . inet_service; flags dynamic; size 65536; }
    set v6 { type ipv6_addr . inet_proto; flags dynamic; size 65536; }
    set v6_words { type ipv6_addr . inet_proto . inet_service . inet_service; flags dynamic; size 65536; }
    chain arrives {
        type filter hook ingress device "far" priority 0;
        meta protocol ip add @v4 { ip saddr . meta l4proto }
        meta protocol ip add @v4_words { ip saddr . meta l4proto . th sport . th dport }
        meta protocol ip6 add @v6 { ip6 saddr . meta l4proto }
        meta protocol ip6 add @v6_words { ip6 saddr . meta l4proto . th sport . th dport }
    }
}
"#;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Frames that were sent.
    pub frames: u64,
    /// Those that the kernel read to the end.
    pub read: u64,
    /// Of these, those with something behind the headers.
    pub with_words: u64,
    /// Those that pinif does not read, since they have more extension headers than it follows.
    pub beyond: u64,
    /// Those with an authentication header, at which these rules stop (`IP6_FH_F_AUTH`), and pinif does not.
    pub authenticated: u64,
}

/// What the kernel found in a frame.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    protocol: u8,
    /// The first four bytes behind the headers.
    words: Option<(u16, u16)>,
}

/// Sends frames, as many as are said, and compares what the kernel and the parser make of them.
///
/// Their lengths agree, also where they are cut short: the kernel refuses others before it looks any further, and pinif judges them.
///
/// # Errors
///
/// Where the namespaces, links and rules cannot be made, and where both differ.
pub fn compare(seed: u64, count: u64) -> Result<Compared> {
    pinif_lab::sweep();
    let (near, far) = (Namespace::new("near")?, Namespace::new("far")?);
    near.veth(NEAR, &far, FAR, 1)?;
    near.set_up(NEAR)?;
    far.set_up(FAR)?;
    nft(&far, &["-f", "-"], RULES)?;
    let mut wire = Wire::open(&near, &far)?;
    let mut random = Rng::with_seed(seed);
    let mut compared = Compared::default();
    while compared.frames < count {
        let mut sent = Vec::new();
        for number in 0..AT_ONCE.min(count - compared.frames) {
            let frame = next(&mut random, number as u32);
            wire.send(frame.bytes())?;
            sent.push(frame);
        }
        wire.wait()?;
        let mut found = found(&far)?;
        for (number, frame) in sent.iter().enumerate() {
            let kernels = found.remove(&(number as u32));
            compared.take(frame, kernels)?;
        }
        ensure!(
            found.is_empty(),
            "the kernel found what was not sent: {found:?}"
        );
        for set in ["v4", "v4_words", "v6", "v6_words"] {
            nft(&far, &["flush", "set", "netdev", "parser", set], "")?;
        }
    }
    Ok(compared)
}

/// A frame whose source address has the number.
fn next(random: &mut Rng, number: u32) -> Frame {
    let mut frame = Frame::default();
    undamaged(random, &mut frame, 1);
    let network = frame.network();
    if random.u8(..4) == 0 {
        cut(random, &mut frame, network);
        set_length(&mut frame);
    }
    let at = match frame.bytes()[network - 2..network] {
        [0x08, 0x00] => network + 12,
        _ => network + 8 + 12,
    };
    if let Some(place) = frame.bytes_mut().get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    frame
}

impl Compared {
    fn take(&mut self, frame: &Frame, kernels: Option<Found>) -> Result<()> {
        let parsed = read(frame.bytes());
        self.frames += 1;
        self.read += u64::from(kernels.is_some());
        self.with_words += u64::from(kernels.is_some_and(|found| found.words.is_some()));
        match (parsed, kernels) {
            (_, Some(found)) if found.protocol == AUTHENTICATION => {
                self.authenticated += 1;
                Ok(())
            }
            (Ok(_), Some(found)) if agree(parsed, found) => Ok(()),
            // Without all of IPv4's options, or cut in the header before: judged by its addresses.
            (Ok(packet), None) if (packet.source_port, packet.icmp_type) == (0, 0) => Ok(()),
            (Err(NotParsed::Malformed), Some(_)) if has_more_extensions(frame) => {
                self.beyond += 1;
                Ok(())
            }
            (Err(_), None) => Ok(()),
            _ => bail!(
                "pinif makes {parsed:?}, and the kernel {kernels:?} of {:02x?}",
                frame.bytes()
            ),
        }
    }
}

fn agree(parsed: Parsed, found: Found) -> bool {
    let Ok(packet) = parsed else { return false };
    // Of a later fragment of IPv4, these rules read what stands there, which is no header.
    if packet.protocol != found.protocol || packet.later_fragment {
        return packet.protocol == found.protocol;
    }
    let ports = (packet.source_port, packet.destination_port);
    match (packet.protocol, found.words) {
        (protocol, Some(words)) if protocol::has_ports(protocol) => ports == words,
        // pinif wants six bytes of these.
        (protocol::ICMP | protocol::ICMPV6, Some((first, _))) => {
            packet.icmp_type == (first >> 8) as u8 || packet.icmp_type == 0
        }
        (_, Some(_)) | (_, None) => ports == (0, 0) && packet.icmp_type == 0,
    }
}

/// Whether it has more IPv6 extension headers than pinif follows, or ends in the third or fourth byte of one: the kernel needs two.
fn has_more_extensions(frame: &Frame) -> bool {
    let bytes = &frame.bytes()[frame.network()..];
    let (mut next, mut at, mut followed) = (bytes[6], 40, 0);
    while matches!(next, 0 | 43 | 44 | 51 | 60) {
        let Some(&[following, length]) = bytes.get(at..at + 2) else {
            return false;
        };
        if bytes.len() < at + 4 {
            return true;
        }
        followed += 1;
        at += match next {
            44 => 8,
            51 => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        next = following;
    }
    followed > 8
}

/// Sends at one end, and waits at the other.
struct Wire {
    near: Socket,
    far: Socket,
    sent: u64,
}

impl Wire {
    /// All is sent by one processor, so that it arrives in its order.
    fn open(near: &Namespace, far: &Namespace) -> Result<Self> {
        let mut here = CpuSet::new();
        here.set(sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &here)?;
        let (near_index, far_index) = (near.index(NEAR)?.0, far.index(FAR)?.0);
        let far = far.run(|| socket::packet_socket_of(far_index, MARKER))??;
        far.set_read_timeout(Some(patience(Duration::from_secs(60))))?;
        Ok(Self {
            near: near.run(|| socket::packet_socket(near_index))??,
            far,
            sent: 0,
        })
    }

    fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.near.send(frame).context("a frame cannot be sent")?;
        self.sent += 1;
        if self.sent.is_multiple_of(WITHOUT_WAITING) {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits until all that was sent has passed the rules: sockets of one ethertype come after them.
    fn wait(&mut self) -> Result<()> {
        let mut marker = [0u8; 60];
        marker[12..14].copy_from_slice(&MARKER.to_be_bytes());
        self.near.send(&marker)?;
        self.far
            .read_exact(&mut marker)
            .context("the marker does not arrive")
    }
}

/// What the sets have, by the number in the source address.
fn found(netns: &Namespace) -> Result<HashMap<u32, Found>> {
    let mut all: HashMap<u32, Found> = HashMap::new();
    for set in ["v4", "v6", "v4_words", "v6_words"] {
        let text = nft(netns, &["-nn", "list", "set", "netdev", "parser", set], "")?;
        let Some((_, elements)) = text.split_once("elements = {") else {
            continue;
        };
        let elements = elements.split('}').next().unwrap_or_default();
        for element in elements.split(',') {
            let fields: Vec<&str> = element.split(" . ").map(str::trim).collect();
            let number = match fields[0].parse()? {
                IpAddr::V4(address) => u32::from(address),
                IpAddr::V6(address) => u128::from(address) as u32,
            };
            let entry = all.entry(number).or_default();
            entry.protocol = fields[1].parse()?;
            if let [_, _, first, second] = fields[..] {
                entry.words = Some((first.parse()?, second.parse()?));
            }
        }
    }
    Ok(all)
}

/// Runs nft in a namespace; what it prints.
fn nft(netns: &Namespace, arguments: &[&str], input: &str) -> Result<String> {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = netns.run(|| command.spawn())?.context("cannot start nft")?;
    let mut stdin = child.stdin.take().context("it is piped")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "nft {arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_the_kernel_reads_them() {
        let is_there = Command::new("nft").arg("--version").output().is_ok();
        if !nix::unistd::geteuid().is_root() || !is_there {
            return eprintln!("SKIPPED: nftables in a network namespace wants root, and nft");
        }
        let compared = compare(1, 5_000).expect("no difference");
        assert_eq!(compared.frames, 5_000);
        assert!(
            compared.read > 2_000 && compared.with_words > 1_000,
            "{compared:?}"
        );
    }
}
