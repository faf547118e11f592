//! What is learned of a packet that was judged: who sent it, where to and by which interface. A packet whose verdict is cached is like
//! one that was judged before, and nothing is learned of it.

use pinif_ebpf::{intent::NO_USER, key::Address, learned, sighting::Origin};

use crate::{
    enforce::now,
    judging::pinif_cannot_send,
    kernel::sock::AF_PACKET,
    reread,
    state::{
        learned::{Entry, count, in_work, is_on},
        scratch,
    },
    verified_once::verified_once,
    words::{clear, copy},
};

verified_once! {
    /// Learns of the packet in work, unless it was dropped, or is what an interface above has sent, or cannot be sent.
    pub fn pinif_learn(skb) {
        if !is_on() || pinif_cannot_send(skb.context()) != 0 {
            return 0;
        }
        let (Some(scratch), Some(entry)) = (scratch::get(skb), in_work()) else {
            return 0;
        };
        let finding = &scratch.key;
        let is_counted = reread(&finding.dropped) == 0 && reread(&scratch.layer.carried) == 0;
        if reread(&scratch.has_packet) == 0 || !is_counted {
            return 0;
        }
        let sighting = &scratch.new.state.sighting;
        let origin = reread(&sighting.origin);
        let packet = &scratch.packet;
        let (port, serves) = learned::service(packet);
        let names_interface = u32::from(reread(&sighting.family)) == AF_PACKET;
        let Entry { sender, process, socket, state } = entry;
        sender.netns = reread(&finding.netns);
        sender.bound = reread(&finding.bound);
        sender.egress = reread(&finding.egress);
        sender.origin = origin;
        sender.names_interface = u8::from(names_interface);
        sender._pad = 0;
        if origin == Origin::None as u8 {
            copy(&mut sender.local, &Address::UNSPECIFIED);
        } else {
            copy(&mut sender.local, &packet.source);
        }
        if origin == Origin::Process as u8 {
            let owner = &sighting.owner;
            sender.cgroup = reread(&owner.cgroup);
            sender.executable_inode = reread(&owner.executable_inode);
            sender.executable_device = reread(&owner.executable_device);
            sender.executable_generation = reread(&owner.executable_generation);
            sender.uid = reread(&owner.uid);
            process.started = reread(&owner.started);
            process.pid = reread(&owner.pid);
            copy(&mut process.comm, &owner.comm);
            socket.cookie = reread(&sighting.cookie);
        } else {
            sender.cgroup = 0;
            sender.executable_inode = 0;
            sender.executable_device = 0;
            sender.executable_generation = 0;
            sender.uid = NO_USER;
            process.started = 0;
            process.pid = 0;
            clear(&mut process.comm);
            socket.cookie.0 = 0;
        }
        copy(&mut socket.key.remote, &packet.destination);
        socket.key.port = port;
        socket.key.protocol = reread(&packet.protocol);
        socket.key.serves = u8::from(serves);
        state.first = learned::time(now());
        state.last = reread(&state.first);
        count(entry);
        0
    }
}
