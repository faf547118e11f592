//! A socket with its intent.

use anyhow::{Context, Result};
use pinif_lab::send::index;
use pinif_lab::socket::{set_bytes, set_option};
use socket2::{Domain, Socket};

use crate::args::Intent;

/// Applies what the socket shall be before it is used.
pub fn apply(intent: &Intent, socket: &Socket) -> Result<()> {
    if let Some(device) = &intent.bind_device {
        match socket.bind_device(Some(device.as_bytes())) {
            Err(error) if intent.ignore_bind_error => {
                eprintln!("SO_BINDTODEVICE {device}: {error}")
            }
            outcome => outcome.with_context(|| format!("cannot bind to the device {device}"))?,
        }
    }
    if let Some(mark) = intent.mark {
        socket.set_mark(mark).context("cannot mark the socket")?;
    }
    if let Some(tos) = intent.tos {
        let (level, name) = match socket.domain()? {
            Domain::IPV6 => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            _ => (libc::IPPROTO_IP, libc::IP_TOS),
        };
        set_option(socket, level, name, i32::from(tos)).context("no type of service")?;
    }
    if intent.broadcast {
        socket.set_broadcast(true)?;
    }
    if intent.transparent {
        let (level, name) = match socket.domain()? {
            Domain::IPV6 => (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT),
            _ => (libc::IPPROTO_IP, libc::IP_TRANSPARENT),
        };
        set_option(socket, level, name, 1).context("it is not transparent")?;
    }
    if let Some(address) = intent.bind {
        socket.set_reuse_address(true)?;
        socket
            .bind(&address.into())
            .with_context(|| format!("cannot bind to {address}"))?;
    }
    choose_interfaces(intent, socket)?;
    if intent.extension_headers {
        // One PadN option each (RFC 8200, 4.2); the kernel sets the next header.
        const PADDED: [u8; 8] = [0, 0, 1, 4, 0, 0, 0, 0];
        set_bytes(socket, libc::IPPROTO_IPV6, libc::IPV6_HOPOPTS, &PADDED)
            .context("no hop-by-hop options")?;
        set_bytes(socket, libc::IPPROTO_IPV6, libc::IPV6_DSTOPTS, &PADDED)
            .context("no destination options")?;
    }
    Ok(())
}

fn choose_interfaces(intent: &Intent, socket: &Socket) -> Result<()> {
    let v6 = socket.domain()? == Domain::IPV6;
    if let Some(device) = &intent.unicast_if {
        // Network byte order in both families: ip(7).
        let index = index(device)?.to_be().cast_signed();
        let (level, name) = if v6 {
            (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_IF)
        } else {
            (libc::IPPROTO_IP, libc::IP_UNICAST_IF)
        };
        set_option(socket, level, name, index)
            .with_context(|| format!("cannot send unicast by {device}"))?;
    }
    if let Some(device) = &intent.multicast_if {
        let index = index(device)?;
        let chosen = if v6 {
            socket.set_multicast_if_v6(index)
        } else {
            // struct ip_mreqn: the group and the local address stay unspecified.
            let request = [[0; 4], [0; 4], index.to_ne_bytes()].concat();
            set_bytes(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
        };
        chosen.with_context(|| format!("cannot send multicast by {device}"))?;
    }
    if let Some(address) = &intent.multicast_address {
        let chosen = socket.set_multicast_if_v4(address);
        chosen.with_context(|| format!("cannot send multicast by {address}'s interface"))?;
    }
    Ok(())
}
