//! The layout of what persists. Programs of another build take over the maps of this one where the layout is the same: they read
//! what is there as it was written, and go on counting in it.

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _, read::elf::ElfFile64};
use pinif_ebpf::{loss::Loss, verdict::Kind};

use crate::{host::type_text, kernel::object::Object, text::hash::fnv1a};

/// What neither the types of the maps nor the names say. It is another number where a value of the same type means something else than
/// before (as where a policy's rules are numbered otherwise), or where what only collectors read ([`super::layout::COLLECTORS`],
/// [`super::layout::STATE`]) has another shape.
const NUMBER: u32 = 4;

/// The tag of the layout of an object's maps: sixteen hexadecimal digits. It is another where a map that persists has another name,
/// type, size or flag, or a member of its keys or values another name, place or type; or where a number stands for another kind or loss.
///
/// # Errors
///
/// When the object is no ELF file with BTF.
pub(super) fn tag(object: &[u8]) -> Result<String> {
    Ok(format!("{:016x}", fnv1a(text(object)?.bytes())))
}

/// The tag of the layout that this build's programs count in: what is below the auditor's directory is called so. `None` where this binary
/// was built without its programs.
///
/// # Errors
///
/// As of [`tag`].
pub fn of_this_build() -> Result<Option<String>> {
    let object = Object::Audit.bytes();
    (!object.is_empty()).then(|| tag(object)).transpose()
}

/// The layout as text: its number, what numbers in the maps stand for, then a line for each map.
pub(super) fn text(object: &[u8]) -> Result<String> {
    let file = ElfFile64::<object::Endianness>::parse(object);
    let file = file.context("the eBPF object cannot be read")?;
    let btf = file
        .section_by_name(".BTF")
        .context("the eBPF object has no BTF")?
        .data()?;
    let maps = type_text::section(btf, ".maps")
        .context("the types of the eBPF object's maps cannot be read")?;
    let lasting = maps.into_iter().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        lasts(name) || is_learned(name)
    });
    let numbered = [
        format!("layout {NUMBER}"),
        format!("kinds: {}", Kind::ALL.map(Kind::name).join(" ")),
        format!("losses: {}", Loss::ALL.map(Loss::name).join(" ")),
    ];
    let lines = numbered.into_iter().chain(lasting);
    Ok(lines.map(|line| line + "\n").collect())
}

/// The maps of what is learned. They stay as long as each collector learns: without that, they have room for one entry.
pub(super) const LEARNED: [&str; 4] = [
    "LEARNED",
    "LEARNED_SENDERS",
    "LEARNED_NUMBERS",
    "LEARNED_SOCKETS",
];

/// Whether a map stays where it is learned, by its name.
pub(super) fn is_learned(map: &str) -> bool {
    LEARNED.contains(&map)
}

/// Whether a map stays always, by its name. What is in the object's own sections is a build's; the ring of debug messages, what wakes who
/// sleeps, who is new among those that send, and what is captured, are of the one who reads them.
pub(super) fn lasts(map: &str) -> bool {
    const OF_READERS: [&str; 6] = [
        "AYA_LOGS", "ASLEEP", "WAKES", "LEARNERS", "LEARNING", "CAPTURES",
    ];
    !map.starts_with('.') && !OF_READERS.contains(&map) && !is_learned(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_share_stays() {
        assert!(lasts("FINDINGS") && lasts("TRAFFIC"));
        assert!(!lasts(".rodata") && !lasts(".bss") && !lasts("AYA_LOGS"));
        assert!(!lasts("WAKES") && !lasts("ASLEEP"));
    }

    fn layout() -> String {
        text(Object::Audit.bytes()).expect("this build's programs")
    }

    /// The tag of this build's object with some bytes changed.
    fn tag_of_changed(at: usize, bytes: &[u8]) -> String {
        let object = Object::Audit.bytes();
        // As aligned as an ELF file's reader wants it.
        let mut room = vec![0; object.len() + 8];
        let start = room.as_ptr().align_offset(8);
        let changed = &mut room[start..start + object.len()];
        changed.copy_from_slice(object);
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        tag(changed).expect("a tag")
    }

    #[test]
    fn the_layout_has_every_map_that_persists() {
        let layout = layout();
        let maps: Vec<_> = layout
            .lines()
            .filter(|line| line.contains(": { type@0 "))
            .collect();
        assert_eq!(maps.len(), layout.lines().count() - 3, "{layout}");
        for map in [
            "CELLS", "COUNTS", "FINDINGS", "LEARNED", "POLICIES", "RECORDS", "TRAFFIC",
        ] {
            assert!(
                maps.iter()
                    .any(|line| line.starts_with(&format!("{map}: "))),
                "{map}"
            );
        }
        for map in ["AYA_LOGS", "LEARNERS", "WAKES"] {
            assert!(!layout.contains(&format!("\n{map}: ")), "{map}");
        }
        // A size is that of the map, not of its placeholder.
        assert!(layout.contains("max_entries@192 *[i32; 16384]"), "{layout}");
    }

    #[test]
    fn members_are_named_to_the_innermost() {
        let layout = layout();
        let counts = layout.lines().find(|line| line.starts_with("COUNTS: "));
        let counts = counts.expect("a map of counts");
        assert!(
            counts.contains("value@128 *{ packets@0 i64 bytes@64 i64 }16"),
            "{counts}"
        );
        let findings = layout.lines().find(|line| line.starts_with("FINDINGS: "));
        let findings = findings.expect("a map of findings");
        assert!(findings.contains("sighting@128 { time@0 i64"), "{findings}");
    }

    #[test]
    fn another_member_is_another_layout() {
        let object = Object::Audit.bytes();
        let own = tag(object).expect("a tag");
        assert_eq!(own.len(), 16);
        // The name of a member, in the strings of BTF.
        let name = b"\0bound_address\0";
        let at = object.windows(name.len()).position(|window| window == name);
        let other = tag_of_changed(at.expect("a member") + 1, b"f");
        assert_ne!(other, own);
    }

    #[test]
    fn another_program_is_no_other_layout() {
        let object = Object::Audit.bytes();
        let licence = b"Dual MIT/GPL\0";
        let at = object
            .windows(licence.len())
            .position(|window| window == licence);
        let other = tag_of_changed(at.expect("a licence") + 5, b"BSD");
        assert_eq!(other, tag(object).expect("a tag"));
    }
}
