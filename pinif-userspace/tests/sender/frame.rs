//! Frames of a packet socket.

use anyhow::{Context, Result};
use pinif_userspace::lab::{Ethernet, Vlan, send, udp_packet};

use crate::args::{Args, Packet};
use crate::rendezvous;
use crate::sent::Sent;

/// Sends frames, all alike, to everyone on the link.
pub fn packet(packet: &Packet, args: &Args) -> Result<Sent> {
    let socket = send::packet_socket(send::index(&packet.device)?)?;
    let payload = vec![0; packet.size];
    let datagram =
        udp_packet(packet.from, packet.to, &payload).context("no such datagram can be made")?;
    let tags = packet
        .service_vlan
        .map(Vlan::Service)
        .into_iter()
        .chain(packet.vlan.map(Vlan::Customer));
    let ethernet = Ethernet {
        destination: [0xff; 6],
        source: [2, 0, 0, 0, 0, 0xaa],
        tags: tags.collect(),
    };
    let frame = ethernet.around(&datagram);
    if args.wait_stdin {
        rendezvous("ready")?;
    }
    let mut sent = Sent::by(&socket)?;
    for _ in 0..packet.count {
        sent.count(socket.send(&frame));
    }
    Ok(sent)
}
