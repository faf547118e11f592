//! Ways by which packets leave without passing TC egress, as far as the host tells of them; a file a way.
//!
//! What the kernel's programs must tell (who bypasses, who stands before pinif) is in [`crate::kernel`].

pub mod netconsole;
pub mod pktgen;
pub mod sockets;
pub mod xdp;
