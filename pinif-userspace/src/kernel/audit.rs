//! The audit's object, with what persists of it.

use anyhow::Result;
use aya::Ebpf;
use pinif_ebpf::{heard::Replies, offsets::Offsets};

use super::{
    load::{AuditSettings, Loader, secret},
    persist::Persist,
};

/// Makes the maps and prepares the programs, with the kernel's offsets and the level of aya-log (0 is off). Where it `enforces`, there is room
/// for the program that refuses; where any `replies` are audited, for what sockets have heard. Where there is something that persists, the maps are those of previous instances, and stay.
///
/// # Errors
///
/// When this binary has no programs inside, or the kernel refuses a map or does not know its type.
pub fn load(
    loader: Loader,
    offsets: &Offsets,
    log_level: u8,
    enforces: bool,
    replies: Replies,
    hears_all: bool,
    persist: Option<&Persist>,
) -> Result<Ebpf> {
    let ebpf = loader.audit(&AuditSettings {
        offsets,
        mark_secret: persist.map_or_else(secret, Persist::secret),
        refuses: enforces,
        replies,
        hears_all,
        log_level,
        pinned_maps: persist.map(Persist::maps).unwrap_or_default(),
    })?;
    if let Some(persist) = persist {
        persist.hold(&ebpf)?;
    }
    Ok(ebpf)
}
