//! The audit's object, with what persists of it.

use anyhow::Result;
use aya::Ebpf;
use pinif_ebpf::{heard::Replies, offsets::Offsets};

use super::{
    load::{AuditSettings, Loader, secret},
    persist::Persist,
    sizes,
};

/// Makes the maps and prepares the programs, with the kernel's offsets and the level of aya-log (0 is off). Where it `enforces`, there is room
/// for the program that refuses; where any `replies` are audited, for what sockets have heard; and there is room for so many `sockets`, or for as many as fit the machine. Where there is something that persists, the maps are those of previous instances, and stay.
///
/// # Errors
///
/// When this binary has no programs inside, what persists has room for another number of sockets than is asked for, or the kernel refuses a map or does not know its type.
pub fn load(
    loader: Loader,
    offsets: &Offsets,
    log_level: u8,
    enforces: bool,
    replies: Replies,
    hears_all: bool,
    sockets: Option<u32>,
    persist: Option<&Persist>,
) -> Result<Ebpf> {
    let pinned_maps = persist.map(Persist::maps).unwrap_or_default();
    let sockets = sizes::sockets(sockets, &pinned_maps)?;
    let ebpf = loader.audit(&AuditSettings {
        offsets,
        mark_secret: persist.map_or_else(secret, Persist::secret),
        refuses: enforces,
        replies,
        hears_all,
        sockets,
        log_level,
        persists: persist.is_some(),
        pinned_maps,
    })?;
    if let Some(persist) = persist {
        persist.hold(&ebpf)?;
    }
    Ok(ebpf)
}
