//! What is learned of a packet that was judged: who sent it, where to and by which interface. A packet whose verdict is cached is like
//! one that was judged before, and nothing is learned of it.

use pinif_ebpf::{
    intent::NO_USER,
    key::Address,
    learned::{self, what},
    sighting::Origin,
};

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
        let Entry { key, state, socket } = entry;
        key.netns = reread(&finding.netns);
        copy(&mut key.remote, &packet.destination);
        key.bound = reread(&finding.bound);
        key.egress = reread(&finding.egress);
        key.port = port;
        key.protocol = reread(&packet.protocol);
        key.what = origin & what::ORIGIN
            | u8::from(serves) * what::SERVES
            | u8::from(names_interface) * what::NAMES_INTERFACE;
        if origin == Origin::None as u8 {
            copy(&mut key.local, &Address::UNSPECIFIED);
        } else {
            copy(&mut key.local, &packet.source);
        }
        if origin == Origin::Process as u8 {
            let owner = &sighting.owner;
            key.cgroup = reread(&owner.cgroup);
            key.executable_inode = reread(&owner.executable_inode);
            key.executable_device = reread(&owner.executable_device);
            key.executable_generation = reread(&owner.executable_generation);
            key.uid = reread(&owner.uid);
            state.started = reread(&owner.started);
            state.pid = reread(&owner.pid);
            copy(&mut state.comm, &owner.comm);
            socket.cookie = reread(&sighting.cookie);
        } else {
            key.cgroup = 0;
            key.executable_inode = 0;
            key.executable_device = 0;
            key.executable_generation = 0;
            key.uid = NO_USER;
            state.started = 0;
            state.pid = 0;
            clear(&mut state.comm);
            socket.cookie.0 = 0;
        }
        state._pad = 0;
        state.first = now();
        state.last = reread(&state.first);
        copy(&mut socket.remote, &packet.destination);
        socket.bound = reread(&key.bound);
        socket.egress = reread(&key.egress);
        socket.port = port;
        socket.protocol = reread(&key.protocol);
        socket.what = reread(&key.what);
        socket._pad = 0;
        count(entry);
        0
    }
}
