//! What others attach, in as many instructions.

use super::assemble::{
    CONTEXT, DATA, DATA_END, FRAME, INTERFACE, LENGTH, add, add_in_memory, by_key_at, call, copy,
    exit, load_byte, load_double, load_half, load_word, packet_program, set, skip, skip_if_greater,
    skip_if_zero, skip_unless, store, store_double, store_low_byte, store_low_word,
};
use super::map::Map;
use super::{Instruction, helper};

/// Lets a packet pass where the map has its interface as a key, and drops any other: what systemd attaches for `RestrictNetworkInterfaces=`
/// (`sd_restrictif_e` and `sd_restrictif_i` of its restrict-ifaces.bpf.c, as an allow list).
pub fn allow_interfaces(map: &Map) -> Vec<Instruction> {
    let answer = [skip_if_zero(0, 1), set(0, 1), exit()];
    [load_word(2, 1, INTERFACE), store_low_word(2, -4)]
        .into_iter()
        .chain(by_key_at(-4, map, helper::MAP_LOOKUP))
        .chain(answer)
        .collect()
}

/// How long a flow's key and its value are in the map of [`count_flow`].
pub const FLOW_KEY: u32 = 40;
/// See [`FLOW_KEY`].
pub const FLOW_VALUE: u32 = 24;

/// Counts a packet of IPv4 or IPv6 in the entry of its flow, as agents that export flows do: by both addresses, both ports and the protocol,
/// the packets, the bytes, and the time of the last packet. Later fragments and IPv6 extension headers are not looked for.
pub fn count_flow(map: &Map) -> Vec<Instruction> {
    const KEY: i16 = -40;
    const NEW: i16 = -64;
    const IPV4: i32 = 0x0800_u16.to_be() as i32;
    const IPV6: i32 = 0x86dd_u16.to_be() as i32;
    let copy_word = |from, to| [load_word(5, 2, from), store_low_word(5, to)];
    let copy_byte = |from, to| [load_byte(5, 2, from), store_low_byte(5, to)];
    let copy_double = |from, to| [load_double(5, 2, from), store(FRAME, 5, to)];

    let v4 = [
        copy_word(26, KEY),
        copy_word(30, KEY + 16),
        copy_word(34, KEY + 32),
        copy_byte(23, KEY + 36),
    ];
    let v6 = [
        copy_double(22, KEY),
        copy_double(30, KEY + 8),
        copy_double(38, KEY + 16),
        copy_double(46, KEY + 24),
        copy_word(54, KEY + 32),
        copy_byte(20, KEY + 36),
    ];
    let time = [
        load_word(7, CONTEXT, LENGTH),
        call(helper::KTIME),
        copy(8, 0),
    ];
    let look_up = by_key_at(KEY, map, helper::MAP_LOOKUP);
    let known = [
        set(1, 1),
        add_in_memory(0, 1, 0),
        add_in_memory(0, 7, 8),
        store(0, 8, 16),
    ];
    let value = [
        store_double(NEW, 1),
        store(FRAME, 7, NEW + 8),
        store(FRAME, 8, NEW + 16),
        copy(3, FRAME),
        add(3, NEW.into()),
        // `BPF_NOEXIST`: who was first, has it.
        set(4, 1),
    ];
    let enter = by_key_at(KEY, map, helper::MAP_UPDATE);

    // From the end to the beginning, so that each part knows how much there is to go over.
    let mut rest: Vec<Instruction> = value.into_iter().chain(enter).collect();
    let behind = |steps: Vec<Instruction>, rest: Vec<Instruction>| [steps, rest].concat();
    let over = |rest: &[Instruction]| rest.len() as i16;
    let known = [known.to_vec(), vec![skip(over(&rest))]].concat();
    rest = behind([vec![skip_if_zero(0, over(&known))], known].concat(), rest);
    rest = behind([time.to_vec(), look_up.to_vec()].concat(), rest);
    let v6 = v6.concat();
    let begin_v6 = vec![
        skip_unless(5, IPV6, over(&rest) + over(&v6) + 3),
        copy(4, 2),
        add(4, 58),
        skip_if_greater(4, 3, over(&rest) + over(&v6)),
    ];
    let after_v4 = [begin_v6, v6].concat();
    let v4 = [v4.concat(), vec![skip(over(&after_v4))]].concat();
    let begin = vec![
        load_word(2, 1, DATA),
        load_word(3, 1, DATA_END),
        store_double(KEY, 0),
        store_double(KEY + 8, 0),
        store_double(KEY + 16, 0),
        store_double(KEY + 24, 0),
        store_double(KEY + 32, 0),
        copy(4, 2),
        add(4, 38),
        skip_if_greater(4, 3, over(&rest) + over(&after_v4) + over(&v4) + 2),
        load_half(5, 2, 12),
        skip_unless(5, IPV4, over(&v4)),
    ];
    packet_program([begin, v4, after_v4, rest].concat())
}
