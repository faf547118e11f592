//! The helpers that pinif's programs call (bpf-helpers(7)), by their numbers (`enum bpf_func_id`).

use anyhow::{Result, bail, ensure};

use crate::{
    kernel::Socket,
    machine::{Input, Machine},
    maps::Content,
};

/// `BPF_SK_STORAGE_GET_F_CREATE`.
const CREATE: u64 = 1;
/// `EFAULT`.
const FAULT: i64 = -14;
/// `overflowuid`: whom a packet without full socket is of.
const NOBODY: u64 = 65_534;

/// What a call comes to.
pub enum Effect {
    Returns(u64),
    TailCall(String),
}

impl Machine {
    /// Calls a helper. Returns its name, and what it comes to.
    pub(crate) fn help(
        &mut self,
        number: i32,
        arguments: [u64; 5],
        input: &Input,
    ) -> Result<(&'static str, Effect)> {
        let [a, b, c, d, _] = arguments;
        let (name, value) = match number {
            1 => ("map_lookup_elem", self.look_up(a, b)?),
            2 => ("map_update_elem", self.update(a, b, c, d)?),
            3 => ("map_delete_elem", self.delete(a, b)?),
            5 => ("ktime_get_ns", self.kernel.now),
            7 => ("get_prandom_u32", self.kernel.random.into()),
            // Programs run one after the other, on one CPU.
            8 => ("get_smp_processor_id", 0),
            12 => {
                let program = self.map_at(b)?.program(c as u32)?;
                let effect = program.map_or(Effect::Returns(u64::MAX), |program| {
                    Effect::TailCall(program.clone())
                });
                return Ok(("tail_call", effect));
            }
            14 => ("get_current_pid_tgid", twice(self.kernel.process)),
            15 => ("get_current_uid_gid", twice(self.kernel.user)),
            35 => ("get_current_task", self.kernel.task),
            39 => ("skb_pull_data", 0),
            46 => (
                "get_socket_cookie",
                self.socket(input.socket, |it| it.cookie),
            ),
            47 => ("get_socket_uid", self.user_of(input.socket)),
            68 => (
                "skb_load_bytes_relative",
                self.load_bytes(input, arguments)?,
            ),
            79 => ("skb_cgroup_id", self.kernel.cgroup),
            80 => ("get_current_cgroup_id", self.kernel.cgroup),
            // The root's is one; there is none below the socket's own.
            83 => (
                "skb_ancestor_cgroup_id",
                [1, self.kernel.cgroup]
                    .get(b as usize)
                    .copied()
                    .unwrap_or(0),
            ),
            84 => ("sk_lookup_tcp", self.kernel.receiver.unwrap_or(0)),
            85 => ("sk_lookup_udp", self.kernel.receiver.unwrap_or(0)),
            86 => ("sk_release", 0),
            93 => ("spin_lock", self.lock(a)?),
            94 => ("spin_unlock", 0),
            95 => (
                "sk_fullsock",
                self.socket(a, |it| if it.is_full { a } else { 0 }),
            ),
            98 => (
                "get_listener_sock",
                self.socket(a, |it| it.listener.unwrap_or(0)),
            ),
            99 => ("skc_lookup_tcp", self.kernel.receiver.unwrap_or(0)),
            107 => ("sk_storage_get", self.storage(a, b, d)?),
            113 => ("probe_read_kernel", self.probe(a, b, c)?),
            122 => ("get_netns_cookie", self.kernel.netns),
            131 => ("ringbuf_reserve", self.reserve(a, b)?),
            132 => ("ringbuf_submit", self.submit(a)?),
            other => bail!("a helper that is not here: {other}"),
        };
        Ok((name, Effect::Returns(value)))
    }

    fn look_up(&self, map: u64, key: u64) -> Result<u64> {
        let map = self.map_at(map)?;
        map.look_up(self.memory.bytes(key, map.definition.key)?)
    }

    fn update(&mut self, map: u64, key: u64, value: u64, flags: u64) -> Result<u64> {
        let definition = &self.map_at(map)?.definition;
        let key = self.memory.bytes(key, definition.key)?.to_vec();
        let value = self.memory.bytes(value, definition.value)?.to_vec();
        self.change(map)?;
        let (map, memory) = self.map_at_mut(map)?;
        Ok(map.update(&key, &value, flags, memory)?.cast_unsigned())
    }

    fn delete(&mut self, map: u64, key: u64) -> Result<u64> {
        let size = self.map_at(map)?.definition.key;
        let key = self.memory.bytes(key, size)?.to_vec();
        self.change(map)?;
        let (map, _) = self.map_at_mut(map)?;
        Ok(map.remove(&key)?.cast_unsigned())
    }

    /// Notes that a helper changes a map: its lists, locks or numbers.
    fn change(&mut self, map: u64) -> Result<()> {
        let name = self.map_at(map)?.definition.name.clone();
        self.changed.insert(name);
        Ok(())
    }

    /// Takes a lock, which nobody else has here: its word is written.
    fn lock(&mut self, at: u64) -> Result<u64> {
        let word = self.memory.number(at, 4)?;
        self.memory.write_number(at, 4, word)?;
        Ok(0)
    }

    /// Something of a socket; zero where there is none.
    fn socket(&self, address: u64, of: impl Fn(&Socket) -> u64) -> u64 {
        self.kernel.sockets.get(&address).map_or(0, of)
    }

    fn user_of(&self, address: u64) -> u64 {
        let socket = self.kernel.sockets.get(&address);
        let socket = socket.filter(|socket| socket.is_full);
        socket.map_or(NOBODY, |socket| socket.user.into())
    }

    /// Bytes of the packet, from one of its headers on (`enum bpf_hdr_start_off`: 0 is the link layer's, 1 the network's). Where they are
    /// not there, zeros.
    fn load_bytes(&mut self, input: &Input, arguments: [u64; 5]) -> Result<u64> {
        let [_, offset, to, length, from] = arguments;
        let Some(packet) = input.packet else {
            bail!("there is no packet");
        };
        let link = if from == 0 { 0 } else { packet.link };
        let at = packet.start + u64::from(link) + offset;
        self.copy(to, at, length as usize)
    }

    /// Copies memory, and returns zero; where the source cannot be read, zeros, and an error.
    fn copy(&mut self, to: u64, from: u64, length: usize) -> Result<u64> {
        let read = self.memory.bytes(from, length).map(<[u8]>::to_vec);
        let status = if read.is_ok() { 0 } else { FAULT };
        let bytes = read.unwrap_or_else(|_| vec![0; length]);
        self.memory.write(to, &bytes)?;
        Ok(status.cast_unsigned())
    }

    fn probe(&mut self, to: u64, length: u64, from: u64) -> Result<u64> {
        self.copy(to, from, length as usize)
    }

    /// What is stored with a full socket (`bpf_sk_storage_get`).
    fn storage(&mut self, map: u64, socket: u64, flags: u64) -> Result<u64> {
        if self.socket(socket, |it| it.is_full.into()) == 0 {
            return Ok(0);
        }
        let (map, memory) = self.map_at_mut(map)?;
        let Content::Storage(values) = &mut map.content else {
            bail!("{} is no storage", map.definition.name);
        };
        Ok(match values.get(&socket) {
            Some(&at) => at,
            None if flags & CREATE != 0 => {
                let at = memory.allocate(vec![0; map.definition.value]);
                values.insert(socket, at);
                at
            }
            None => 0,
        })
    }

    /// The record's header has its length, and its map (`struct bpf_ringbuf_hdr`).
    fn reserve(&mut self, map: u64, size: u64) -> Result<u64> {
        self.change(map)?;
        let header = [size, map].map(u64::to_le_bytes).concat();
        let record = [header, vec![0; size as usize]].concat();
        Ok(self.memory.allocate(record) + 16)
    }

    fn submit(&mut self, record: u64) -> Result<u64> {
        let size = self.memory.number(record - 16, 8)?;
        let map = self.memory.number(record - 8, 8)?;
        let bytes = self.memory.bytes(record, size as usize)?.to_vec();
        let (map, _) = self.map_at_mut(map)?;
        let Content::Ring(records) = &mut map.content else {
            bail!("{} is no ring buffer", map.definition.name);
        };
        ensure!(size > 0, "an empty record");
        records.push(bytes);
        Ok(0)
    }
}

/// A number in both halves, as helpers return those of threads and processes, of users and groups.
fn twice(number: u32) -> u64 {
    u64::from(number) << 32 | u64::from(number)
}
