//! Instructions, by the names of the kernel's documentation (Documentation/bpf/standardization).

use super::map::Map;
use super::{Hook, helper};

/// `struct bpf_insn`: code, destination and source register, offset, immediate.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// The frame pointer.
pub(super) const FRAME: u8 = 10;
/// Where the context is kept while helpers are called.
pub(super) const CONTEXT: u8 = 6;
/// The places of `len`, `ifindex`, `data`, `data_end` and `sk` in `struct __sk_buff`; of `bound_dev_if` in `struct bpf_sock`; of `sk` in
/// `struct bpf_sock_addr` and in `struct bpf_sockopt`.
pub(super) const LENGTH: i16 = 0;
pub(super) const INTERFACE: i16 = 40;
pub(super) const DATA: i16 = 76;
pub(super) const DATA_END: i16 = 80;
pub(super) const SK: i16 = 168;
const BOUND_DEVICE: i16 = 0;
const SK_OF_ADDRESS: i16 = 64;
const SK_OF_OPTION: i16 = 0;
/// The places on the stack of a map's key of 24 bytes, and of its value.
const KEY: i16 = -24;
const VALUE: i16 = -32;
/// `BPF_SK_STORAGE_GET_F_CREATE`.
const CREATE: i32 = 1;

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: from << 4 | to,
        offset,
        immediate,
    }
}

pub(super) const fn set(to: u8, value: i32) -> Instruction {
    instruction(0xb7, to, 0, 0, value)
}

pub(super) const fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xbf, to, from, 0, 0)
}

pub(super) const fn add(to: u8, value: i32) -> Instruction {
    instruction(0x07, to, 0, 0, value)
}

pub(super) const fn load_word(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x61, to, from, offset, 0)
}

pub(super) const fn load_double(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x79, to, from, offset, 0)
}

pub(super) const fn load_half(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x69, to, from, offset, 0)
}

pub(super) const fn load_byte(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x71, to, from, offset, 0)
}

const fn store_word(offset: i16, value: i32) -> Instruction {
    instruction(0x62, FRAME, 0, offset, value)
}

/// Stores a register, all eight bytes.
pub(super) const fn store(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x7b, to, from, offset, 0)
}

/// Stores the lower four bytes of a register on the stack.
pub(super) const fn store_low_word(from: u8, offset: i16) -> Instruction {
    instruction(0x63, FRAME, from, offset, 0)
}

/// Stores the lowest byte of a register on the stack.
pub(super) const fn store_low_byte(from: u8, offset: i16) -> Instruction {
    instruction(0x73, FRAME, from, offset, 0)
}

/// Adds a register to eight bytes in memory, at once for all processors (`BPF_ATOMIC`).
pub(super) const fn add_in_memory(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0xdb, to, from, offset, 0)
}

pub(super) const fn store_double(offset: i16, value: i32) -> Instruction {
    instruction(0x7a, FRAME, 0, offset, value)
}

/// Goes over the next instructions, as many as said, where a register is zero.
pub(super) const fn skip_if_zero(register: u8, over: i16) -> Instruction {
    instruction(0x15, register, 0, over, 0)
}

/// The same where a register is greater than another.
pub(super) const fn skip_if_greater(register: u8, than: u8, over: i16) -> Instruction {
    instruction(0x2d, register, than, over, 0)
}

/// The same where a register is not this number.
pub(super) const fn skip_unless(register: u8, is: i32, over: i16) -> Instruction {
    instruction(0x55, register, 0, over, is)
}

/// Goes over the next instructions.
pub(super) const fn skip(over: i16) -> Instruction {
    instruction(0x05, 0, 0, over, 0)
}

/// Ends the program, with the answer in the first register.
pub(super) const fn exit() -> Instruction {
    instruction(0x95, 0, 0, 0, 0)
}

pub(super) const fn call(helper: i32) -> Instruction {
    instruction(0x85, 0, 0, 0, helper)
}

/// A map's address: two places for one constant, `BPF_PSEUDO_MAP_FD`.
pub(super) fn map_address(to: u8, map: &Map) -> [Instruction; 2] {
    [
        instruction(0x18, to, 1, 0, map.descriptor()),
        instruction(0, 0, 0, 0, 0),
    ]
}

/// What a program answers so that nothing changes: no verdict (`TC_ACT_UNSPEC`) of a packet, 1 in a cgroup.
pub(super) fn pass(hook: Hook) -> [Instruction; 2] {
    let answer = if hook.is_of_interface() { -1 } else { 1 };
    [set(0, answer), exit()]
}

/// A program that does nothing.
pub fn empty(hook: Hook) -> Vec<Instruction> {
    pass(hook).to_vec()
}

/// A program for packets that takes these steps and then does nothing.
pub(super) fn packet_program(steps: impl IntoIterator<Item = Instruction>) -> Vec<Instruction> {
    std::iter::once(copy(CONTEXT, 1))
        .chain(steps)
        .chain(pass(Hook::EGRESS))
        .collect()
}

/// Goes on with the first program of a program array.
pub fn tail_call(programs: &Map) -> Vec<Instruction> {
    let [low, high] = map_address(2, programs);
    packet_program([low, high, set(3, 0), call(helper::TAIL_CALL)])
}

/// Calls a helper that takes nothing or the context.
fn call_with_context(helper: i32) -> Vec<Instruction> {
    packet_program([call(helper)])
}

/// Asks for the time (`bpf_ktime_get_ns`).
pub fn time() -> Vec<Instruction> {
    call_with_context(helper::KTIME)
}

/// Asks for the cookie of the packet's socket.
pub fn cookie() -> Vec<Instruction> {
    call_with_context(helper::SOCKET_COOKIE)
}

/// Copies the IPv4 header from the packet (`bpf_skb_load_bytes`).
pub fn header() -> Vec<Instruction> {
    packet_program([
        set(2, 14),
        copy(3, FRAME),
        add(3, -24),
        set(4, 20),
        call(helper::SKB_LOAD_BYTES),
    ])
}

/// Reads the addresses and ports where they stand in an IPv4 packet, without a copy.
pub fn addresses() -> Vec<Instruction> {
    packet_program([
        load_word(2, 1, DATA),
        load_word(3, 1, DATA_END),
        copy(4, 2),
        add(4, 38),
        skip_if_greater(4, 3, 3),
        load_word(5, 2, 26),
        load_word(5, 2, 30),
        load_word(5, 2, 34),
    ])
}

/// Reads the bound device of the packet's socket.
pub fn bound_device() -> Vec<Instruction> {
    packet_program([
        load_double(1, CONTEXT, SK),
        skip_if_zero(1, 3),
        call(helper::SK_FULLSOCK),
        skip_if_zero(0, 1),
        load_word(1, 0, BOUND_DEVICE),
    ])
}

/// Finds what is stored with the packet's socket, and makes it where there is nothing.
pub fn storage(map: &Map) -> Vec<Instruction> {
    let steps = [
        load_double(1, CONTEXT, SK),
        skip_if_zero(1, 8),
        call(helper::SK_FULLSOCK),
        skip_if_zero(0, 6),
        copy(2, 0),
    ];
    packet_program(steps.into_iter().chain(stored(map)))
}

/// Finds what is stored with the socket of a system call, and makes it where there is nothing. Of an interface, there is no such socket; of IPv6, nobody asks.
pub fn storage_at(hook: Hook, map: &Map) -> Vec<Instruction> {
    let socket = match hook {
        Hook::CONNECT4 | Hook::SENDMSG4 => load_double(2, 1, SK_OF_ADDRESS),
        Hook::SETSOCKOPT => load_double(2, 1, SK_OF_OPTION),
        // The context is the socket.
        _ => copy(2, 1),
    };
    let steps = [socket].into_iter().chain(stored(map));
    steps.chain(pass(hook)).collect()
}

/// The least for a packet that pinif's program cannot do without: the bound device of its socket, what is stored with that, the addresses
/// and ports of the packet, a counter of the processor's own.
pub fn least(stored: &Map, counter: &Map) -> Vec<Instruction> {
    all([
        bound_device(),
        storage(stored),
        addresses(),
        look_up(counter),
    ])
}

/// What is stored with the socket in the second register.
pub(super) fn stored(map: &Map) -> [Instruction; 5] {
    let [low, high] = map_address(1, map);
    let get = call(helper::SK_STORAGE_GET);
    [low, high, set(3, 0), set(4, CREATE), get]
}

/// Looks up a key of up to 24 bytes, all zeros, in a map.
pub fn look_up(map: &Map) -> Vec<Instruction> {
    let steps = key(0).into_iter().chain(by_key(map, helper::MAP_LOOKUP));
    packet_program(steps)
}

/// Takes the steps of several programs for packets, one after the other.
pub fn all(programs: impl IntoIterator<Item = Vec<Instruction>>) -> Vec<Instruction> {
    let end = pass(Hook::EGRESS).len();
    packet_program(programs.into_iter().flat_map(|mut program| {
        program.truncate(program.len() - end);
        // Each begins with the context where it is for the first, and keeps it.
        program[0] = copy(1, CONTEXT);
        program
    }))
}

/// Enters the cookie of the packet's socket into a map, as a key of 24 bytes.
pub fn enter_cookie(map: &Map) -> Vec<Instruction> {
    packet_program(key_of_cookie().into_iter().chain(enter(map)))
}

/// Removes the cookie of a socket that is closed from a map, where a packet's program has entered it.
pub fn remove_cookie(map: &Map) -> Vec<Instruction> {
    let remove = by_key(map, helper::MAP_DELETE);
    let steps = key_of_cookie().into_iter().chain(remove);
    steps.chain(pass(Hook::RELEASE)).collect()
}

/// Enters the cookie of the packet's socket likewise, once: what is stored with the socket says whether it was.
pub fn enter_cookie_once(stored: &Map, map: &Map) -> Vec<Instruction> {
    let enter: Vec<_> = [set(1, 1), store(7, 1, 0), copy(1, CONTEXT)]
        .into_iter()
        .chain(key_of_cookie())
        .chain(enter(map))
        .collect();
    let over = enter.len() as i16;
    let find: Vec<_> = [copy(2, 0)]
        .into_iter()
        .chain(self::stored(stored))
        .collect();
    let is_new = [
        copy(7, 0),
        skip_if_zero(7, over + 2),
        load_double(1, 7, 0),
        skip_unless(1, 0, over),
    ];
    let behind_socket = (find.len() + is_new.len() + enter.len()) as i16;
    let socket = [
        load_double(1, CONTEXT, SK),
        skip_if_zero(1, behind_socket + 2),
        call(helper::SK_FULLSOCK),
        skip_if_zero(0, behind_socket),
    ];
    let steps = socket.into_iter().chain(find).chain(is_new).chain(enter);
    packet_program(steps)
}

/// Moves the cookie of a socket that is closed from a map into another, and finds what is stored with the socket.
pub fn move_cookie(stored: &Map, map: &Map, closed: &Map) -> Vec<Instruction> {
    let find = [copy(2, 1)].into_iter().chain(self::stored(stored));
    let key = [copy(1, CONTEXT)].into_iter().chain(key_of_cookie());
    let remove = by_key(map, helper::MAP_DELETE);
    std::iter::once(copy(CONTEXT, 1))
        .chain(find)
        .chain(key)
        .chain(remove)
        .chain(enter(closed))
        .chain(pass(Hook::RELEASE))
        .collect()
}

/// Enters a key of up to 24 bytes, all ones, into a map, and removes it again.
pub fn enter_and_remove(map: &Map) -> Vec<Instruction> {
    let remove = by_key(map, helper::MAP_DELETE);
    packet_program(key(-1).into_iter().chain(enter(map)).chain(remove))
}

/// Puts a key on the stack, with three times the same word.
fn key(word: i32) -> [Instruction; 3] {
    [KEY, KEY + 8, KEY + 16].map(|place| store_double(place, word))
}

/// Puts the cookie of the context's socket there.
fn key_of_cookie() -> [Instruction; 4] {
    [
        call(helper::SOCKET_COOKIE),
        store(FRAME, 0, KEY),
        store_double(KEY + 8, 0),
        store_double(KEY + 16, 0),
    ]
}

/// Calls a helper with a map and the key.
fn by_key(map: &Map, helper: i32) -> [Instruction; 5] {
    by_key_at(KEY, map, helper)
}

/// Calls a helper with a map and the key at this place on the stack.
pub(super) fn by_key_at(key: i16, map: &Map, helper: i32) -> [Instruction; 5] {
    let [low, high] = map_address(1, map);
    [copy(2, FRAME), add(2, key.into()), low, high, call(helper)]
}

/// Enters the key into a map, with zeros as its value.
fn enter(map: &Map) -> impl Iterator<Item = Instruction> {
    let value = [
        store_double(VALUE, 0),
        copy(3, FRAME),
        add(3, VALUE.into()),
        set(4, 0),
    ];
    value.into_iter().chain(by_key(map, helper::MAP_UPDATE))
}

/// Looks up the packet's IPv4 destination in a trie of prefixes.
pub fn look_up_destination(map: &Map) -> Vec<Instruction> {
    let [low, high] = map_address(1, map);
    packet_program([
        set(2, 30),
        copy(3, FRAME),
        add(3, -4),
        set(4, 4),
        call(helper::SKB_LOAD_BYTES),
        store_word(-8, 32),
        copy(2, FRAME),
        add(2, -8),
        low,
        high,
        call(helper::MAP_LOOKUP),
    ])
}
