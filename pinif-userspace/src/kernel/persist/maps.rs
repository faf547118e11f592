//! Maps without a program, which only collectors read: made, pinned and opened.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya::{
    Pod,
    maps::{HashMap, Map, MapData},
};

/// `BPF_F_NO_PREALLOC`.
const NO_PREALLOC: u32 = 1;

/// An interface's name, as maps have it: it has 15 bytes, each of which may be shown as three.
pub(super) type NameBytes = [u8; 48];

/// Makes a map, and pins it in a directory.
pub(super) fn make<K: Pod, V: Pod>(directory: &Path, name: &str, entries: u32) -> Result<()> {
    HashMap::<MapData, K, V>::create(entries, NO_PREALLOC)?.pin(directory.join(name))?;
    Ok(())
}

/// Opens a map that is pinned in a directory.
pub(super) fn open<K: Pod, V: Pod>(directory: &Path, name: &str) -> Result<HashMap<MapData, K, V>> {
    let map = MapData::from_pin(directory.join(name))
        .map(Map::HashMap)
        .with_context(|| format!("the pinned map {name} cannot be opened"))?;
    Ok(map.try_into()?)
}

/// A text in so many bytes, cut at a character's end where it is longer; then zeros.
pub(super) fn bytes<const ROOM: usize>(text: &str) -> [u8; ROOM] {
    let mut bytes = [0; ROOM];
    let length = (0..=ROOM.min(text.len()))
        .rev()
        .find(|&length| text.is_char_boundary(length))
        .unwrap_or_default();
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::attributes::text;

    #[test]
    fn names_come_back_as_they_were() {
        for name in ["", "eth0", "\u{fffd}\u{fffd}card"] {
            assert_eq!(text(&bytes::<48>(name)), name);
        }
        assert_eq!(text(&bytes::<4>("eth0")), "eth0");
        assert_eq!(text(&bytes::<4>("abc\u{fffd}")), "abc");
    }
}
