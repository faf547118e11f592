//! What sends packets past TC egress, or takes them before pinif sees them; a file for each that the host itself shows.
//!
//! What only the kernel's programs know (which sockets bypass, what comes before pinif) is listed by them.

mod found;
pub(crate) mod netconsole;
pub(crate) mod pktgen;
pub(crate) mod sockets;
pub(crate) mod xdp;

use std::fmt;

pub use found::Found;

/// Something that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// Sockets that bypass TC egress ([`sockets`]).
    Sockets,
    /// Programs and filters that come before pinif.
    Ahead,
    /// XDP programs ([`xdp`]).
    XdpPrograms,
    /// pktgen's interfaces ([`pktgen`]).
    Pktgen,
    /// netconsole's interfaces ([`netconsole`]).
    Netconsole,
    /// Interfaces that answer for another's address ([`super::arp_flux`]).
    ArpFlux,
}

impl Detector {
    /// A number that no other has, for what is kept beyond this process.
    pub const fn number(self) -> u8 {
        match self {
            Self::Sockets => 1,
            Self::Ahead => 2,
            Self::XdpPrograms => 3,
            Self::Pktgen => 4,
            Self::Netconsole => 5,
            Self::ArpFlux => 6,
        }
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sockets => "sockets that send past TC egress",
            Self::Ahead => "programs and filters that come before pinif",
            Self::XdpPrograms => "XDP programs",
            Self::Pktgen => "interfaces of pktgen",
            Self::Netconsole => "interfaces of netconsole",
            Self::ArpFlux => "neighbours behind two interfaces",
        })
    }
}
