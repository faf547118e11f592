//! The least that recognizes copies, and names in a finding whose they are: it keeps with each socket who made it, and enters that with
//! the socket's endpoint.

use super::assemble::{
    CONTEXT, FRAME, add, all, by_key_at, call, copy, least, load_double, map_address, pass, set,
    skip_if_zero, skip_unless, store, store_double, stored,
};
use super::map::Map;
use super::{Hook, Instruction, helper};

/// How long a key of the tables is, in bytes: a local endpoint.
pub const KEY: u32 = 32;
/// How long a value of them is: what is known of a socket by its endpoint.
pub const VALUE: u32 = 96;
/// How long what is stored with a socket is.
pub const RECORD: u32 = 184;

/// Where the key is on the stack.
const KEY_AT: i16 = -32;
/// Where the socket's storage says that it was entered; what is entered of it comes before.
const ENTERED_AT: i16 = 176;
/// What is read of the task that makes a socket, by its place in the storage and its length in bytes: its start, how often it has begun
/// another program, and its name. From three places of the task that are in no common cache line; which, makes no difference to the time.
const FACTS: [(i16, i32, i32); 3] = [(0, 8, 512), (8, 4, 1024), (16, 16, 2048)];
/// The places of the cgroup and the user in the storage.
const CGROUP_AT: i16 = 32;
const USER_AT: i16 = 40;

/// Makes what is stored with a socket at `socket()`, and writes who makes it.
pub fn write_maker(records: &Map) -> Vec<Instruction> {
    let facts = FACTS.into_iter().flat_map(|(at, length, of_task)| {
        [
            copy(1, 7),
            add(1, at.into()),
            set(2, length),
            copy(3, 8),
            add(3, of_task),
            call(helper::PROBE_READ_KERNEL),
        ]
    });
    let steps: Vec<_> = [call(helper::CURRENT_TASK), copy(8, 0)]
        .into_iter()
        .chain(facts)
        .chain([
            call(helper::CURRENT_CGROUP),
            store(7, 0, CGROUP_AT),
            call(helper::CURRENT_USER),
            store(7, 0, USER_AT),
        ])
        .collect();
    [copy(CONTEXT, 1), copy(2, 1)]
        .into_iter()
        .chain(stored(records))
        .chain([copy(7, 0), skip_if_zero(7, steps.len() as i16)])
        .chain(steps)
        .chain(pass(Hook::CREATE))
        .collect()
}

/// The least at the egress, and with a socket's first packet its entry in a table, with who has it.
pub fn enter_once(records: &Map, counter: &Map, table: &Map) -> Vec<Instruction> {
    let enter: Vec<_> = [set(1, 1), store(7, 1, ENTERED_AT), copy(1, CONTEXT)]
        .into_iter()
        .chain(key())
        .chain(enter(table))
        .collect();
    let over = enter.len() as i16;
    let find: Vec<_> = [copy(2, 0)].into_iter().chain(stored(records)).collect();
    let is_new = [
        copy(7, 0),
        skip_if_zero(7, over + 2),
        load_double(1, 7, ENTERED_AT),
        skip_unless(1, 0, over),
    ];
    let behind_socket = (find.len() + is_new.len() + enter.len()) as i16;
    let socket = [
        load_double(1, CONTEXT, super::assemble::SK),
        skip_if_zero(1, behind_socket + 2),
        call(helper::SK_FULLSOCK),
        skip_if_zero(0, behind_socket),
    ];
    let steps = socket.into_iter().chain(find).chain(is_new).chain(enter);
    let entering = std::iter::once(copy(CONTEXT, 1))
        .chain(steps)
        .chain(pass(Hook::EGRESS))
        .collect();
    all([least(records, counter), entering])
}

/// Moves a socket that is closed from the table to another, with who had it.
pub fn move_closed(records: &Map, table: &Map, closed: &Map) -> Vec<Instruction> {
    let steps: Vec<_> = [copy(1, CONTEXT)]
        .into_iter()
        .chain(key())
        .chain(by_key_at(KEY_AT, table, helper::MAP_DELETE))
        .chain(enter(closed))
        .collect();
    [copy(CONTEXT, 1), copy(2, 1)]
        .into_iter()
        .chain(stored(records))
        .chain([copy(7, 0), skip_if_zero(7, steps.len() as i16)])
        .chain(steps)
        .chain(pass(Hook::RELEASE))
        .collect()
}

/// Puts a key on the stack, with the cookie of the context's socket in it.
fn key() -> [Instruction; 5] {
    [
        call(helper::SOCKET_COOKIE),
        store(FRAME, 0, KEY_AT),
        store_double(KEY_AT + 8, 0),
        store_double(KEY_AT + 16, 0),
        store_double(KEY_AT + 24, 0),
    ]
}

/// Enters it, with the beginning of the storage that the seventh register points to as its value.
fn enter(table: &Map) -> Vec<Instruction> {
    let [low, high] = map_address(1, table);
    vec![
        copy(3, 7),
        set(4, 0),
        copy(2, FRAME),
        add(2, KEY_AT.into()),
        low,
        high,
        call(helper::MAP_UPDATE),
    ]
}
