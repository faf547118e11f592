//! What a pin did, as a script reads it.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use pinif_ebpf::{
    intent::Name,
    key::IfIndex,
    pin::{Attempt, Pin, attempt, flag},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{host::pid_namespace, kernel::pins::PinMaps};

/// A pin and what came of it: what `--format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pin")]
#[schemars(title = "A line of pinif pin --list --format json, and of pinif run --report json")]
pub struct PinReport {
    /// The cgroup's directory.
    pub cgroup: String,
    /// The interface's name.
    pub interface: String,
    /// The index that it has; null while no interface has the name.
    pub index: Option<u32>,
    /// The cookie of the namespace that it is in (`SO_NETNS_COOKIE`).
    pub netns_cookie: u64,
    /// Whether sockets may be bound to another device.
    pub allow_rebind: bool,
    /// Sockets that were bound to the device as they were made.
    pub pinned: u64,
    /// Sockets that were not made, since the interface was away.
    pub away: u64,
    /// Sockets that were not made, since their process was in another network namespace.
    pub elsewhere: u64,
    /// What left, and what was dropped, by interface.
    pub interfaces: Vec<Interface>,
    /// Attempts to bind a socket to another device, or to none, that were refused.
    pub refused: u64,
    /// Attempts to join a group on another interface that were refused.
    pub refused_joins: u64,
    /// Those of all of them that there was room to list.
    pub attempts: Vec<Try>,
    /// Packets whose interface there was no room to count.
    pub uncounted: u64,
}

/// Packets of pinned sockets by one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Interface {
    /// What it was called at the first.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Packets that went there, as they are on the wire.
    pub packets: u64,
    /// Those of them that reached it: others wait for a neighbour that does not answer, or were dropped before it. Null where that is
    /// not counted: `pinif run` does.
    pub arrived: Option<u64>,
    /// Their bytes, from the IP header on.
    pub bytes: u64,
    /// Packets that were dropped, and did not leave via it.
    pub kept_packets: u64,
    /// Their bytes.
    pub kept_bytes: u64,
}

/// Attempts of one process to bind a socket to one thing, or to join groups on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Try {
    /// The process; null where numbers are of another PID namespace than the initial one.
    pub pid: Option<u32>,
    /// Its task's name.
    pub comm: String,
    /// The device's name that was asked for.
    pub device: Option<String>,
    /// The index that was asked for. Neither, where the socket was to be unbound, or the kernel was to choose where to join.
    pub index: Option<u32>,
    /// What was tried.
    pub what: Trial,
    /// How often.
    pub times: u64,
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// To bind a socket to a device.
    Bind,
    /// To join, or leave, a group on an interface.
    Join,
}

impl PinReport {
    /// Reads what a pin's programs counted.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn read(cgroup: &Path, maps: &PinMaps) -> Result<Self> {
        let pin: Pin = maps.pin()?;
        let counters = maps.counters()?;
        let interfaces = maps
            .egress_stats()?
            .into_iter()
            .map(|(index, stats)| Interface {
                name: text(stats.name),
                index: index.0,
                packets: stats.packets,
                arrived: None,
                bytes: stats.bytes,
                kept_packets: stats.dropped_packets,
                kept_bytes: stats.dropped_bytes,
            });
        Ok(Self {
            cgroup: cgroup.to_string_lossy().into_owned(),
            interface: text(pin.name),
            index: Some(pin.interface.0).filter(|index| *index != 0),
            netns_cookie: pin.netns.0,
            allow_rebind: pin.flags & flag::ALLOW_REBIND != 0,
            pinned: counters.pinned,
            away: counters.away,
            elsewhere: counters.elsewhere,
            interfaces: interfaces.collect(),
            refused: counters.refused,
            refused_joins: counters.joins,
            attempts: maps.attempts()?.into_iter().map(Try::from).collect(),
            uncounted: counters.uncounted,
        })
    }

    /// The same with what reached each interface.
    pub fn with_arrivals(mut self, arrived: &BTreeMap<IfIndex, u64>) -> Self {
        for interface in &mut self.interfaces {
            let packets = arrived.get(&IfIndex(interface.index));
            interface.arrived = Some(packets.copied().unwrap_or_default());
        }
        self
    }

    /// How many packets did not reach the interfaces that they went to.
    pub fn missing(&self) -> u64 {
        self.interfaces.iter().map(Interface::missing).sum()
    }
}

impl Interface {
    /// Packets that left, as far as that was counted.
    pub(super) fn left(&self) -> u64 {
        self.arrived.unwrap_or(self.packets)
    }

    /// Packets that went there, and did not arrive. A packet that is cut into fragments arrives as several.
    pub(super) fn missing(&self) -> u64 {
        self.packets.saturating_sub(self.left())
    }
}

impl From<(Attempt, u64)> for Try {
    fn from((attempt, times): (Attempt, u64)) -> Self {
        let device = text(attempt.device);
        Self {
            // The programs know the initial namespace's.
            pid: pid_namespace::is_initial().then_some(attempt.pid),
            comm: text(attempt.comm),
            device: (!device.is_empty()).then_some(device),
            index: Some(attempt.index.0).filter(|index| *index != 0),
            what: match attempt.what {
                attempt::JOIN => Trial::Join,
                _ => Trial::Bind,
            },
            times,
        }
    }
}

/// A name of the kernel's. What is not UTF-8 is U+FFFD, as in every name that pinif reads.
fn text(name: Name) -> String {
    let bytes = name.0.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
