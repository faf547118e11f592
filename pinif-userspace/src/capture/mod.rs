//! The first packets of each finding, in a pcapng file (draft-ietf-opsawg-pcapng) that Wireshark reads.
//!
//! The collector says what each packet is ([`packet`]); a thread of its own writes ([`writer`]), so that no disk holds up the collector.

mod comment;
mod existing;
mod file;
mod headers;
mod packet;
mod snap;
mod writer;

pub use file::{Capture, CaptureFile, with_tag};
pub use packet::{About, Packet, Place};
pub use snap::SnapLength;
pub use writer::{CaptureState, Stop, Writer};
