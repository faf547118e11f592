//! Rules, as `ip rule` writes them.

use std::fmt;

use super::rule::{Action, Rule, Selector};
use crate::host::tables;

/// What `ip rule` writes between the priority and what is done: `from 10.0.0.1 fwmark 0x7`; `from all` for all packets.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        let mut say = |word: Option<String>| words.extend(word);
        say(self
            .from
            .map(|network| format!("from {}", network_text(network))));
        say(self
            .to
            .map(|network| format!("to {}", network_text(network))));
        say((self.tos != 0).then(|| format!("tos {:#x}", self.tos)));
        say(self.mark.map(|(mark, mask)| match mask {
            u32::MAX => format!("fwmark {mark:#x}"),
            _ => format!("fwmark {mark:#x}/{mask:#x}"),
        }));
        say(self.input.as_ref().map(|name| format!("iif {name}")));
        say(self.output.as_ref().map(|name| format!("oif {name}")));
        say(self.l3mdev.then(|| "l3mdev".to_owned()));
        say(self
            .users
            .as_ref()
            .map(|users| format!("uidrange {}-{}", users.start(), users.end())));
        say(self
            .protocol
            .map(|protocol| format!("ipproto {}", protocol_text(protocol))));
        say(self
            .source_ports
            .as_ref()
            .map(|ports| format!("sport {}", ports_text(ports))));
        say(self
            .destination_ports
            .as_ref()
            .map(|ports| format!("dport {}", ports_text(ports))));
        say((self.tunnel != 0).then(|| format!("tun_id {}", self.tunnel)));
        say(self.more.then(|| "and more".to_owned()));
        if words.is_empty() {
            words.push("from all".to_owned());
        }
        if self.inverted {
            f.write_str("not ")?;
        }
        f.write_str(&words.join(" "))
    }
}

/// `rule 100 (fwmark 0x7)`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} ({})", self.priority, self.selector)
    }
}

/// What `ip rule` writes at the end: `lookup main suppress_prefixlength 0`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table {
                table,
                suppressed_length,
                suppressed_group,
            } => {
                match table {
                    0 => f.write_str("lookup [l3mdev-table]")?,
                    table => write!(f, "lookup {}", tables::name(*table))?,
                }
                if let Some(length) = suppressed_length {
                    write!(f, " suppress_prefixlength {length}")?;
                }
                if let Some(group) = suppressed_group {
                    write!(f, " suppress_ifgroup {group}")?;
                }
                Ok(())
            }
            Self::Goto(priority) => write!(f, "goto {priority}"),
            Self::Nop => f.write_str("nop"),
            Self::Blackhole => f.write_str("blackhole"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Prohibit => f.write_str("prohibit"),
            Self::Other(number) => write!(f, "action {number}"),
        }
    }
}

fn network_text(network: ipnet::IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

fn protocol_text(protocol: u8) -> String {
    match i32::from(protocol) {
        libc::IPPROTO_TCP => "tcp".to_owned(),
        libc::IPPROTO_UDP => "udp".to_owned(),
        libc::IPPROTO_ICMP => "icmp".to_owned(),
        libc::IPPROTO_ICMPV6 => "ipv6-icmp".to_owned(),
        number => number.to_string(),
    }
}

fn ports_text(ports: &std::ops::RangeInclusive<u16>) -> String {
    if ports.start() == ports.end() {
        ports.start().to_string()
    } else {
        format!("{}-{}", ports.start(), ports.end())
    }
}
