//! What `pinif audit` captures.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use pinif_ebpf::capture::MOST_PACKETS;

use crate::{
    capture::{Capture, CaptureFile, SnapLength},
    text::size::size,
};

/// The arguments of a capture.
#[derive(Args, Clone, Debug)]
pub struct CaptureArgs {
    /// Keep the first packets of each finding in this pcapng file, also those that are dropped; one that is there is continued
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,

    /// How many packets of each finding are captured, from 1 to 255
    #[arg(long, value_name = "N", value_parser = packets, default_value = "4", requires = "capture")]
    capture_packets: u32,

    /// How much of a packet is captured: its headers alone, or so many bytes
    #[arg(long, value_name = "headers|BYTES", default_value_t = SnapLength::Headers, requires = "capture")]
    capture_snaplen: SnapLength,

    /// How large the file may become, such as 64M; then nothing is captured any more
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64M", requires = "capture")]
    capture_size: u64,
}

impl CaptureArgs {
    /// Opens the file, where something is to be captured.
    ///
    /// # Errors
    ///
    /// Why it cannot be written, with the fix.
    pub fn open(self) -> Result<Option<Capture>> {
        let Self {
            capture,
            capture_packets,
            capture_snaplen,
            capture_size,
        } = self;
        let open = |path: PathBuf| {
            let file = CaptureFile::open(&path, capture_size, capture_snaplen)?;
            Ok(Capture {
                file,
                packets: capture_packets,
                snap: capture_snaplen,
            })
        };
        capture.map(open).transpose()
    }
}

/// A number of packets.
fn packets(text: &str) -> Result<u32, String> {
    let packets = text.parse().ok();
    let packets = packets.filter(|packets| (1..=MOST_PACKETS).contains(packets));
    packets.ok_or_else(|| format!("`{text}` is no number of packets from 1 to {MOST_PACKETS}"))
}
