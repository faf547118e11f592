//! How much memory the maps take: the table in docs/service.md, by the kernel's own arithmetic (`map_mem_usage` of each type), which is
//! held against what this kernel says of a running auditor's maps.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::{env, fs};

use aya::maps::MapInfo;
use pinif_ebpf::{intent::SocketRecord, learned::ENTRIES, loss::Loss};
use pinif_interpreter::{Definition, Machine, kind};
use pinif_userspace::kernel::{Object, WITHOUT_CAPTURE, WITHOUT_LEARNING, of_sockets};

use crate::bench::{self, scenario};
use crate::control::asked::Place;
use crate::paths::page::replaced;

/// What writes the table.
const COMMAND: &str = "the test sizes";
const UPDATE: &str = "PINIF_UPDATE_DOCS";

/// `struct bucket` (kernel/bpf/hashtab.c), and that of a socket's storage.
const BUCKET: u64 = 16;
/// `struct htab_elem`, without its key and value.
const ELEMENT: u64 = 48;
/// `struct llist_node`, which the allocator puts before each element that is not there from the start.
const FREED: u64 = 8;
/// The pages of a ring buffer that are no data (`RINGBUF_NR_META_PAGES`, on x86-64).
const RING: u64 = 3 * 4096;
/// What is not computed of each map: the structure that it begins with.
const HEADER: u64 = 4096;
/// What a socket's record takes, with what the kernel puts before it: `struct bpf_local_storage_elem` with its value, and `struct
/// bpf_local_storage`, each as large as its slab.
const RECORD: u64 = RECORD_SLAB + 192;
const RECORD_SLAB: u64 = 256;
/// What the kernel puts before a record: `struct bpf_local_storage_elem`, whose value begins in its second cache line, behind a pointer.
const BEFORE_RECORD: u64 = 64 + 8;
/// What a local endpoint takes: an element of 160 bytes, and [`FREED`], in a slab.
const ENDPOINT: u64 = 192;

/// What an auditor is asked for.
#[derive(Clone, Copy)]
struct Asked {
    sockets: u32,
    /// A policy has zones, and is enforced.
    enforces: bool,
}

/// How many entries an auditor's map has; `cpus` are those that are possible.
fn entries(map: &Definition, asked: Asked, cpus: u64) -> u64 {
    let sized = of_sockets(asked.sockets).into_iter();
    let sized = sized.map(|(name, entries)| (name, u64::from(entries)));
    let least = [("SCRATCH", 1), ("HEARD", 1)].into_iter();
    let least = least.filter(|_| !asked.enforces);
    let unlearned = WITHOUT_LEARNING.into_iter().chain([WITHOUT_CAPTURE]);
    let unlearned = unlearned.map(|(name, entries)| (name, u64::from(entries)));
    let all = least.chain(unlearned).chain(sized);
    let mut all = all.chain([("STEADY", cpus)]);
    let entries = all.find(|(name, _)| *name == map.name);
    entries.map_or(map.entries.into(), |(_, entries)| entries)
}

/// How much memory a map takes from the start, in bytes; `cpus` are those that are possible.
fn at_rest(map: &Definition, entries: u64, cpus: u64) -> u64 {
    let element = element(map);
    match map.kind {
        kind::HASH => BUCKET * entries.next_power_of_two(),
        kind::LRU_HASH => BUCKET * entries.next_power_of_two() + element * entries,
        kind::ARRAY => entries * round(map.value),
        kind::PERCPU_ARRAY => entries * (8 + round(map.value) * cpus),
        kind::PROG_ARRAY => entries * 8,
        kind::SK_STORAGE => BUCKET * cpus.next_power_of_two().max(2),
        kind::RINGBUF => entries + RING,
        kind::LPM_TRIE => 0,
        other => panic!("a map of the type {other}"),
    }
}

fn element(map: &Definition) -> u64 {
    ELEMENT + round(map.key) + round(map.value)
}

fn round(bytes: usize) -> u64 {
    bytes.next_multiple_of(8) as u64
}

/// The maps, but those of a section; nothing where this pinif has no programs.
fn maps() -> Option<Vec<Definition>> {
    let object = Object::Audit.bytes();
    if object.is_empty() {
        let reason = "this pinif was built without its eBPF programs";
        bench::skipped("sizes", reason);
        return None;
    }
    let machine = Machine::load(object, &[]).expect("the programs");
    let maps = machine.maps().filter(|map| map.data.is_empty());
    let maps = maps.filter(|map| map.name != "AYA_LOGS" && !map.name.starts_with('.'));
    Some(maps.cloned().collect())
}

/// What all maps take from the start.
fn all_at_rest(maps: &[Definition], asked: Asked, cpus: u64) -> u64 {
    let each = maps.iter();
    each.map(|map| at_rest(map, entries(map, asked, cpus), cpus))
        .sum()
}

/// What so many sockets add: two local endpoints and a record each.
fn of_all_sockets(sockets: u32) -> u64 {
    u64::from(sockets) * (2 * ENDPOINT + RECORD)
}

/// The table of docs/service.md.
fn table(maps: &[Definition]) -> String {
    const CPUS: [u64; 3] = [1, 16, 128];
    let mut table = "\n| `--max-sockets` | | 1 CPU | 16 CPUs | 128 CPUs |\n".to_owned();
    table += "| ---: | --- | ---: | ---: | ---: |\n";
    for sockets in [10_000, 100_000, 1_000_000] {
        let asked = |enforces| Asked { sockets, enforces };
        let full = of_all_sockets(sockets);
        let rows = [
            ("at rest", false, 0),
            ("at rest, with zones and `--enforce`", true, 0),
            ("the same, and all sockets are there", true, full),
        ];
        for (what, enforces, more) in rows {
            let of = |cpus| {
                let bytes = all_at_rest(maps, asked(enforces), cpus) + more;
                bytes.div_ceil(1 << 20)
            };
            let [one, some, many] = CPUS.map(of);
            let _infallible = writeln!(table, "| {sockets} | {what} | {one} | {some} | {many} |");
        }
    }
    table + "\n"
}

#[test]
fn the_documentation_has_what_the_maps_take() {
    let Some(maps) = maps() else { return };
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/service.md");
    let kept = fs::read_to_string(&file).expect("the page");
    let made = replaced(&kept, COMMAND, &table(&maps)).expect("a page with a place for it");
    if env::var_os(UPDATE).is_some() {
        return fs::write(&file, made).expect("the page can be written");
    }
    assert_eq!(kept, made, "{UPDATE}=1 writes it into docs/service.md");
}

/// A process's maps by their names, each with its entries and the bytes that the kernel charges for it (`memlock` of
/// proc_pid_fdinfo(5)).
fn charged(pid: nix::unistd::Pid) -> BTreeMap<String, (u64, u64)> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it is there");
    let one = |text: String| {
        let number = |name: &str| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
            value?.parse::<u64>().ok()
        };
        let id = u32::try_from(number("map_id")?).ok()?;
        let info = MapInfo::from_id(id).expect("it is open");
        let name = info.name_as_str().expect("a name").to_owned();
        Some((name, (number("max_entries")?, number("memlock")?)))
    };
    let texts = descriptors
        .flatten()
        .map(|entry| fs::read_to_string(entry.path()));
    texts.flatten().filter_map(one).collect()
}

#[test]
fn an_endpoint_fits_its_slab() {
    let Some(maps) = maps() else { return };
    let endpoints = maps.iter().find(|map| map.name == "ENDPOINTS");
    let bytes = element(endpoints.expect("it is there")) + FREED;
    // The slab below has 128.
    assert!((129..=ENDPOINT).contains(&bytes), "{bytes}");
}

#[test]
fn a_record_fits_its_slab() {
    let bytes = size_of::<SocketRecord>() as u64 + BEFORE_RECORD;
    // The slab below has 192.
    assert!((193..=RECORD_SLAB).contains(&bytes), "{bytes}");
}

#[test]
fn the_maps_are_as_large_as_is_asked_for_and_take_what_is_computed() {
    let Some(maps) = maps() else { return };
    let possible = aya::util::nr_cpus().expect("the kernel says it") as u64;
    scenario("service sizes", &[], |bench| {
        for (sockets, enforces) in [(16_384, false), (5_000, true)] {
            let asked = Asked { sockets, enforces };
            let number = sockets.to_string();
            let mut setup = bench.auditor().arguments(["--max-sockets", &number]);
            if enforces {
                let policy = "[zone.backplane]\ninterfaces = [\"fab*\"]\ncontained = true\n";
                setup = setup.policy(policy).arguments(["--enforce"]);
            }
            let auditor = setup.start();
            let charged = charged(auditor.pid());
            for map in &maps {
                // The kernel keeps 15 bytes of it.
                let name: String = map.name.chars().take(15).collect();
                let &(there, bytes) = charged
                    .get(&name)
                    .unwrap_or_else(|| panic!("{name} is not open: {charged:?}"));
                let entries = entries(map, asked, possible);
                assert_eq!(there, entries, "{name}");
                let least = at_rest(map, entries, possible);
                // What is entered at the start, of the card's few interfaces.
                let most = least + HEADER + 64 * (element(map) + FREED);
                assert!(
                    (least..=most).contains(&bytes),
                    "{name} takes {bytes} bytes, and not {least}"
                );
            }
            auditor.stop().expect().nothing_else();
        }
    });
}

/// So many destinations are all in the table. What is more is counted as lost, and takes nothing.
#[test]
fn what_is_learned_of_a_hundred_thousand_destinations_takes_less_than_16_mib() {
    const MOST: u64 = 16 << 20;
    const MORE: u32 = 77;
    const MAPS: [&str; 6] = [
        "LEARNED",
        "LEARNED_SENDERS",
        "LEARNED_NUMBERS",
        "LEARNED_SOCKETS",
        "LEARNERS",
        "LEARNING",
    ];
    scenario("service sizes-learned", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &["--learn"]);
        let socket = bench.card().run(|| UdpSocket::bind("0.0.0.0:0"));
        let socket = socket.expect("the card").expect("a socket");
        let mut to =
            (0..).map(|host| SocketAddr::from((Ipv4Addr::from_bits(0x0b00_0000 + host), 9)));
        let mut send = |number: u32| {
            for to in to.by_ref().take(number as usize) {
                socket.send_to(b"x", to).expect("it is sent");
            }
        };
        let learned = || {
            let (status, page) = place.get("/v1/learned?limit=1");
            assert_eq!(status, 200, "{page}");
            ["total", "not_learned"].map(|name| page[name].as_u64().expect("a number"))
        };
        send(100_000);
        // The host itself may have sent something, too.
        let [total, not_learned] = learned();
        assert!(
            (100_000..100_050).contains(&total) && not_learned == 0,
            "{total}, {not_learned}"
        );
        send(ENTRIES - 100_000 + MORE);
        let [total, not_learned] = learned();
        assert_eq!(total, u64::from(ENTRIES));
        assert!(
            u64::from(MORE) <= not_learned && not_learned < 150,
            "{not_learned}"
        );
        let charged = charged(auditor.pid());
        let taken: u64 = MAPS.iter().map(|name| charged[*name].1).sum();
        assert!(taken <= MOST, "{taken} bytes: {charged:?}");
        eprintln!("{taken} bytes for {ENTRIES} entries");
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", u64::from(ENTRIES + MORE))
            .lost(Loss::LearnedFull, not_learned)
            .nothing_else();
    });
}
