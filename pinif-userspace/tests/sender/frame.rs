//! Frames of a packet socket.

use anyhow::{Context, Result};
use pinif_lab::send;
use pinif_lab::socket::{packet_socket_of, set_option};
use pinif_lab::{Ethernet, Vlan, udp_packet};

use crate::args::{Args, Packet};
use crate::compat;
use crate::rendezvous;
use crate::sent::Sent;

/// `PACKET_QDISC_BYPASS` (linux/if_packet.h).
const PACKET_QDISC_BYPASS: libc::c_int = 20;

/// Sends frames with the same content to everyone on the link.
pub fn packet(packet: &Packet, args: &Args) -> Result<Sent> {
    let socket = packet_socket_of(send::index(&packet.device)?, packet.announce)?;
    let frame = frame_of(packet)?;
    if packet.bypass && packet.compat {
        compat::set_option(&socket, libc::SOL_PACKET, PACKET_QDISC_BYPASS, 1)
            .context("PACKET_QDISC_BYPASS by a system call of 32 bits")?;
    } else if packet.bypass {
        set_option(&socket, libc::SOL_PACKET, PACKET_QDISC_BYPASS, 1)
            .context("PACKET_QDISC_BYPASS")?;
    }
    if args.wait_stdin {
        rendezvous("ready")?;
    }
    let mut sent = Sent::by(&socket)?;
    for _ in 0..packet.count {
        sent.count(socket.send(&frame));
    }
    if packet.stay {
        rendezvous("sent")?;
    }
    Ok(sent)
}

/// Puts a header of destination options (RFC 8200, 4.6) before what an IPv6 packet has now.
fn put_options_first(packet: &mut Vec<u8>) {
    const DESTINATION_OPTIONS: u8 = 60;
    const HEADER: usize = 40;
    let next = std::mem::replace(&mut packet[6], DESTINATION_OPTIONS);
    // Eight bytes: PadN of six.
    packet.splice(HEADER..HEADER, [next, 0, 1, 4, 0, 0, 0, 0]);
    let length = (packet.len() - HEADER) as u16;
    packet[4..6].copy_from_slice(&length.to_be_bytes());
}

/// The frame that is asked for.
pub fn frame_of(packet: &Packet) -> Result<Vec<u8>> {
    let payload = vec![0; packet.size];
    let mut datagram =
        udp_packet(packet.from, packet.to, &payload).context("no such datagram can be made")?;
    (0..packet.options).for_each(|_| put_options_first(&mut datagram));
    let tags = packet
        .service_vlan
        .map(Vlan::Service)
        .into_iter()
        .chain(packet.vlan.map(Vlan::Customer))
        .chain((0..packet.priority_tags).map(|_| Vlan::Customer(0)));
    let ethernet = Ethernet {
        destination: [0xff; 6],
        source: [2, 0, 0, 0, 0, 0xaa],
        tags: tags.collect(),
    };
    Ok(ethernet.around(&datagram))
}
