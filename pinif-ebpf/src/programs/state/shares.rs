//! How many findings each has in the table. See [`pinif_ebpf::share`].

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::HashMap,
    macros::btf_map,
};
use pinif_ebpf::{
    share::{OF_A_USER, ShareKey, charged, limit_of_class, stands_in},
    sighting::FindingKey,
    subject::SubjectKey,
};

use super::findings::atomic_add;

const ROOM: usize = 16_384;
const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;

/// How many findings were entered.
#[btf_map]
static SHARES: HashMap<ShareKey, u64, ROOM, NO_PREALLOC> = HashMap::new();

/// How many of them userspace has removed. It alone writes this, and the programs alone write the other: neither takes from the
/// other's additions.
#[btf_map]
static RELEASED: HashMap<ShareKey, u64, ROOM, NO_PREALLOC> = HashMap::new();

/// Which subject stands in for the finding's own, since a share is full; nothing where it may be entered.
#[inline(always)]
pub fn stand_in(key: &FindingKey) -> Option<SubjectKey> {
    let (user, class) = charged(key)?;
    if user.is_some_and(|user| held(&user) >= OF_A_USER) {
        return Some(stands_in(key, true));
    }
    (held(&class) >= limit_of_class(class)).then(|| stands_in(key, false))
}

/// Charges a finding that was entered. Of two CPUs that enter the last of a share at once, each does.
#[inline(always)]
pub fn charge(key: &FindingKey) {
    if let Some((user, class)) = charged(key) {
        add(&class);
        if let Some(user) = user {
            add(&user);
        }
    }
}

#[inline(never)]
fn held(share: &ShareKey) -> u64 {
    // SAFETY: the values are words, read at once.
    let (entered, removed) = unsafe { (SHARES.get(share), RELEASED.get(share)) };
    let entered = entered.copied().unwrap_or_default();
    entered.saturating_sub(removed.copied().unwrap_or_default())
}

/// Counts one more. Where there is no room for another holder, its class alone limits it.
#[inline(never)]
fn add(share: &ShareKey) -> u32 {
    if SHARES.get_ptr_mut(share).is_none() {
        // Another CPU may be first.
        let _ = SHARES.insert(share, &0, u64::from(BPF_NOEXIST));
    }
    if let Some(count) = SHARES.get_ptr_mut(share) {
        // SAFETY: the entry stays valid for the program's run.
        unsafe { atomic_add(count, 1) };
    }
    0
}
