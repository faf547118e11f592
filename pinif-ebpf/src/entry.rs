//! What the entry programs, which are loaded for each network namespace, and userspace, which loads them, agree on.

use crate::key::NetNsCookie;

/// What the entry programs of the object have in place of their namespace's cookie, until they are loaded for one.
pub const PLACEHOLDER: NetNsCookie = NetNsCookie(0x6e65_7473_5f68_6572);

/// The place in `TRAFFIC` of the traffic program for what leaves.
pub const EGRESS: u32 = 0;
/// The same for what arrives.
pub const INGRESS: u32 = 1;
