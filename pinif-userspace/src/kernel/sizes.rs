//! How large the maps are that sockets fill: by what is asked for, else by the machine.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use aya::maps::MapData;
use pinif_ebpf::capacity;

/// The map whose size says for how many sockets the others have room.
const ENDPOINTS: &str = "ENDPOINTS";
/// How much memory the machine has for each socket that there is room for, in bytes.
const MEMORY_OF_A_SOCKET: u64 = 64 << 10;
/// The least that a machine gets where nothing is asked for.
const LEAST_BY_ITSELF: u32 = 16_384;

/// The maps whose size depends on the number of sockets, each with its number of entries.
pub fn of_sockets(sockets: u32) -> [(&'static str, u32); 4] {
    [
        (ENDPOINTS, capacity::endpoints(sockets)),
        ("LINGERING", capacity::lingering(sockets)),
        ("CLOSED", capacity::closed(sockets)),
        ("HEARD", capacity::heard(sockets)),
    ]
}

/// What is left of the maps of what is learned, where nothing is: an entry, and the least ring buffer that the kernel makes (a page).
pub const WITHOUT_LEARNING: [(&str, u32); 4] = [
    ("LEARNED", 1),
    ("LEARNED_SENDERS", 1),
    ("LEARNED_SOCKETS", 1),
    ("LEARNERS", 4096),
];

/// What is left of the ring buffer of captured packets, where none are.
pub const WITHOUT_CAPTURE: (&str, u32) = ("CAPTURES", 4096);

/// How many sockets a machine with so many bytes of memory gets room for, where nothing is asked for. A power of two, as the kernel has
/// as many buckets.
pub fn fitting(memory: u64) -> u32 {
    let sockets = u32::try_from(memory / MEMORY_OF_A_SOCKET).unwrap_or(u32::MAX);
    let power = sockets.checked_ilog2().map_or(0, |log| 1 << log);
    power.clamp(LEAST_BY_ITSELF, capacity::SOCKETS)
}

/// How many sockets there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// For so many.
    pub sockets: u32,
    /// For how many it was asked, where it is another number: what is pinned keeps its size.
    pub not_taken: Option<u32>,
}

/// How many sockets there is room for: as many as what is pinned has room for; else as are asked for; else as fit the machine.
///
/// # Errors
///
/// When the kernel does not say how large what is pinned is.
pub(super) fn sockets(asked: Option<u32>, pinned: &[(String, PathBuf)]) -> Result<Room> {
    let endpoints = pinned.iter().find(|(name, _)| name == ENDPOINTS);
    // Not there yet where this is the first instance.
    let there = endpoints.and_then(|(_, path)| MapData::from_pin(path).ok());
    let Some(there) = there else {
        return Ok(Room {
            sockets: asked.unwrap_or_else(|| fitting(memory())),
            not_taken: None,
        });
    };
    let info = there.info().context("a map's size cannot be read")?;
    let sockets = info.max_entries() / capacity::endpoints(1);
    Ok(Room {
        sockets,
        not_taken: asked.filter(|asked| *asked != sockets),
    })
}

/// How many bytes of memory this machine has (`MemTotal` of proc_meminfo(5)); as much as gets the most where that cannot be read.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    total(&text).unwrap_or(u64::MAX)
}

fn total(meminfo: &str) -> Option<u64> {
    let kilobytes = meminfo.lines().find_map(|line| {
        let rest = line.strip_prefix("MemTotal:")?;
        rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    kilobytes?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_machine_gets_room_by_its_memory() {
        let gets = [0, GIB, 2 * GIB, 3 * GIB, 8 * GIB, 24 * GIB, u64::MAX].map(fitting);
        assert_eq!(
            gets,
            [16_384, 16_384, 32_768, 32_768, 131_072, 131_072, 131_072]
        );
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let text = "MemTotal:       24689396 kB\nMemFree:         1 kB\n";
        assert_eq!(total(text), Some(24_689_396 << 10));
        assert_eq!(total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn what_is_asked_for_comes_before_the_machine() {
        let room = |asked, pinned: &[_]| sockets(asked, pinned).expect("a number");
        let of = |sockets| Room {
            sockets,
            not_taken: None,
        };
        assert_eq!(room(Some(5_000), &[]), of(5_000));
        let missing = [(ENDPOINTS.to_owned(), PathBuf::from("/nowhere"))];
        assert_eq!(room(None, &missing), of(fitting(memory())));
    }
}
