//! The views, a file each: what each shows, and how it moves.

pub(super) mod finding;
pub(super) mod findings;
pub(super) mod grave;
pub(super) mod help;
pub(super) mod interfaces;
pub(super) mod matrix;
pub(super) mod overview;
pub(super) mod policy;
pub(super) mod sockets;
