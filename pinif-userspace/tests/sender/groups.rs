//! Joining groups, by each option that there is.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use nix::net::if_::if_nametoindex;
use pinif_lab::socket::set_bytes;
use socket2::{Domain, Socket, Type};

use crate::args::{Groups, How};
use crate::rendezvous;
use crate::sent::Sent;
use crate::socket::apply;

const IPV6_JOIN_ANYCAST: libc::c_int = 27;
const MCAST_JOIN_GROUP: libc::c_int = 42;
const MCAST_BLOCK_SOURCE: libc::c_int = 43;
const MCAST_JOIN_SOURCE_GROUP: libc::c_int = 46;
const IP_MSFILTER: libc::c_int = 41;
const MCAST_MSFILTER: libc::c_int = 48;
/// `MCAST_EXCLUDE`.
const EXCLUDE: u32 = 0;
/// `struct sockaddr_storage`.
const STORAGE: usize = 128;

/// Joins, and prints the interfaces that are in the group then, each on a line that begins with `member`.
pub fn groups(groups: &Groups) -> Result<Sent> {
    let socket = Socket::new(
        Domain::for_address((groups.group, 0).into()),
        Type::DGRAM,
        None,
    )?;
    apply(&groups.intent, &socket)?;
    let mut sent = Sent::by(&socket)?;
    let (level, option, value) = option(groups)?;
    sent.count(set_bytes(&socket, level, option, &value));
    if groups.stay {
        rendezvous("joined")?;
    }
    for interface in members(groups.group)? {
        println!("member {interface}");
    }
    Ok(sent)
}

fn option(groups: &Groups) -> Result<(libc::c_int, libc::c_int, Vec<u8>)> {
    let index = match &groups.interface {
        Some(name) => if_nametoindex(name.as_str()).with_context(|| name.clone())?,
        None => 0,
    };
    let index = index.to_ne_bytes();
    let address = groups.address.unwrap_or(Ipv4Addr::UNSPECIFIED).octets();
    let (ip, ipv6) = (libc::IPPROTO_IP, libc::IPPROTO_IPV6);
    Ok(match (groups.how, groups.group) {
        (How::Mreq, IpAddr::V4(group)) => {
            let value = [group.octets(), address].concat();
            (ip, libc::IP_ADD_MEMBERSHIP, value)
        }
        (How::Mreqn, IpAddr::V4(group)) => {
            let value = [group.octets(), address, index].concat();
            (ip, libc::IP_ADD_MEMBERSHIP, value)
        }
        (How::Source | How::Block, IpAddr::V4(group)) => {
            let option = match groups.how {
                How::Block => libc::IP_BLOCK_SOURCE,
                _ => libc::IP_ADD_SOURCE_MEMBERSHIP,
            };
            let value = [group.octets(), address, source_v4(groups)?].concat();
            (ip, option, value)
        }
        (How::Filter, IpAddr::V4(group)) => {
            let (mode, sources) = (EXCLUDE.to_ne_bytes(), 1u32.to_ne_bytes());
            let source = source_v4(groups)?;
            let value = [group.octets(), address, mode, sources, source].concat();
            (ip, IP_MSFILTER, value)
        }
        (How::Mreqn, IpAddr::V6(group)) => {
            let value = [&group.octets()[..], &index].concat();
            (ipv6, libc::IPV6_ADD_MEMBERSHIP, value)
        }
        (How::Anycast, IpAddr::V6(group)) => (
            ipv6,
            IPV6_JOIN_ANYCAST,
            [&group.octets()[..], &index].concat(),
        ),
        (How::Mcast, group) => {
            let level = if group.is_ipv4() { ip } else { ipv6 };
            let value = [&index[..], &[0; 4], &storage(group)].concat();
            (level, MCAST_JOIN_GROUP, value)
        }
        (How::McastSource | How::McastBlock, group) => {
            let option = match groups.how {
                How::McastBlock => MCAST_BLOCK_SOURCE,
                _ => MCAST_JOIN_SOURCE_GROUP,
            };
            let level = if group.is_ipv4() { ip } else { ipv6 };
            let source = storage(groups.source);
            let value = [&index[..], &[0; 4], &storage(group), &source].concat();
            (level, option, value)
        }
        (How::McastFilter, group) => {
            let level = if group.is_ipv4() { ip } else { ipv6 };
            let source = storage(groups.source);
            let (mode, sources) = (EXCLUDE.to_ne_bytes(), 1u32.to_ne_bytes());
            let value = [
                &index[..],
                &[0; 4],
                &storage(group),
                &mode,
                &sources,
                &source,
            ];
            (level, MCAST_MSFILTER, value.concat())
        }
        (how, group) => bail!("{how:?} is no way to join {group}"),
    })
}

/// The source, as the options of IPv4 alone have it.
fn source_v4(groups: &Groups) -> Result<[u8; 4]> {
    match groups.source {
        IpAddr::V4(source) => Ok(source.octets()),
        IpAddr::V6(source) => bail!("{source} is no IPv4 address"),
    }
}

/// An address as `struct sockaddr_storage`.
fn storage(address: IpAddr) -> [u8; STORAGE] {
    let mut storage = [0; STORAGE];
    let (family, at, octets) = match address {
        IpAddr::V4(address) => (libc::AF_INET, 4, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, 8, address.octets().to_vec()),
    };
    storage[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    storage[at..at + octets.len()].copy_from_slice(&octets);
    storage
}

/// The interfaces that are in a group (`/proc/net/igmp`, `/proc/net/igmp6`, `/proc/net/anycast6`).
fn members(group: IpAddr) -> Result<Vec<String>> {
    let mut members = Vec::new();
    match group {
        IpAddr::V4(group) => {
            let wanted = format!("{:08X}", u32::from_ne_bytes(group.octets()));
            let mut interface = String::new();
            for line in fs::read_to_string("/proc/thread-self/net/igmp")?.lines() {
                let mut words = line.split_whitespace();
                let first = words.next().unwrap_or_default();
                if !line.starts_with('\t') {
                    interface = words.next().unwrap_or_default().to_owned();
                } else if first == wanted {
                    members.push(interface.clone());
                }
            }
        }
        IpAddr::V6(group) => {
            let wanted: String = group
                .octets()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            for file in ["igmp6", "anycast6"] {
                let text = fs::read_to_string(format!("/proc/thread-self/net/{file}"))?;
                for line in text.lines() {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    if words.get(2) == Some(&wanted.as_str()) {
                        members.push(words[1].to_owned());
                    }
                }
            }
        }
    }
    Ok(members)
}
