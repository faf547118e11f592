//! Readers of other machines: by TLS 1.3 (RFC 8446), and known by a token or by a certificate of theirs.
//!
//! `files` is what the operator names, `material` what is read of them, `in_force` what new connections and requests are held to, `reload`
//! takes what has changed. `door` is what a connection passes; `unproven` bounds those of which nobody is known yet.

mod door;
mod files;
mod in_force;
mod material;
mod reload;
mod tokens;
mod unproven;

pub use self::{
    door::Door,
    files::{Files, read, read_secret},
    in_force::{InForce, Standing},
    reload::follow,
};
