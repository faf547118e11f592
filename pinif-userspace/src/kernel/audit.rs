//! The audit's object, with what persists of it.

use anyhow::Result;
use aya::Ebpf;
use pinif_ebpf::{heard::Replies, offsets::Offsets};

use super::{
    load::{AuditSettings, Captures, Loader, secret},
    persist::Persist,
    sizes::{self, Room},
};

/// What an audit wants of its object.
pub struct Wanted<'a> {
    /// Where this kernel keeps what no helper gives.
    pub offsets: &'a Offsets,
    /// The level of aya-log; 0 is off.
    pub log_level: u8,
    /// Whether there is to be room for the program that refuses.
    pub enforces: bool,
    /// Which replies are audited: there is room for what sockets have heard where any are.
    pub replies: Replies,
    /// Whether it is to be learned what is sent by whom.
    pub learns: bool,
    /// What is to be captured of each finding, where anything is.
    pub captures: Option<Captures>,
    /// Whether the hook at the sockets sees all sockets, since its cgroup is the root.
    pub hears_all: bool,
    /// How many sockets there is to be room for; as many as fit the machine where nothing is said.
    pub sockets: Option<u32>,
}

/// Makes the maps and prepares the programs, and says for how many sockets there is room. Where there is something that persists, the maps are those of previous instances, and stay.
///
/// # Errors
///
/// When this binary has no programs inside, or the kernel refuses a map or does not know its type.
pub fn load(loader: Loader, wanted: Wanted<'_>, persist: Option<&Persist>) -> Result<(Ebpf, Room)> {
    let Wanted {
        offsets,
        log_level,
        enforces,
        replies,
        learns,
        captures,
        hears_all,
        sockets,
    } = wanted;
    let pinned_maps = persist.map(|persist| persist.maps(learns));
    let pinned_maps = pinned_maps.unwrap_or_default();
    let room = sizes::sockets(sockets, &pinned_maps)?;
    let ebpf = loader.audit(&AuditSettings {
        offsets,
        mark_secret: persist.map_or_else(secret, Persist::secret),
        refuses: enforces,
        replies,
        learns,
        captures,
        hears_all,
        sockets: room.sockets,
        log_level,
        persists: persist.is_some(),
        pinned_maps,
    })?;
    if let Some(persist) = persist {
        persist.hold(&ebpf, learns)?;
    }
    Ok((ebpf, room))
}
