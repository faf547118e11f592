//! The file: a section with a block for each place, and one for each packet. Each is written at once, so that all of it can be read at any
//! time, also after the auditor was killed.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Result, anyhow, ensure};
use pcap_file::{
    DataLink, Endianness, PcapError,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};

use super::{
    comment::comment,
    existing, headers,
    packet::{Packet, Place},
    snap::SnapLength,
};
use crate::text::escape::{visible, visible_path};

/// The least size that a file may be given: some hundred packets.
pub const LEAST_SIZE: u64 = 64 << 10;
/// The unit of times: nanoseconds, as a power of ten (`if_tsresol`). What writes the packets writes no other.
const NANOSECONDS: u8 = 9;
/// Which way a packet went, in the lowest bits of its flags (`epb_flags`).
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
/// Where a tag of a VLAN is in a frame: behind both addresses.
const TAG: usize = 12;

/// What is to be captured, and where to.
#[derive(Debug)]
pub struct Capture {
    /// The file.
    pub file: CaptureFile,
    /// How many packets of each finding, from one to [`MOST_PACKETS`](pinif_ebpf::capture::MOST_PACKETS).
    pub packets: u32,
    /// How much of a packet.
    pub snap: SnapLength,
}

/// The file.
#[derive(Debug)]
pub struct CaptureFile {
    path: PathBuf,
    file: File,
    length: u64,
    size: u64,
    /// Writes what is to be written at once.
    blocks: Blocks,
    /// The numbers of the places' blocks.
    places: HashMap<Place, u32>,
    snap: SnapLength,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the file.
    Written,
    /// There is no room for it.
    Full,
}

struct Blocks(PcapNgWriter<Vec<u8>>);

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Blocks")
            .field(&self.0.get_ref().len())
            .finish()
    }
}

impl CaptureFile {
    /// Opens the file, which may have so many bytes. One that is there is continued.
    ///
    /// # Errors
    ///
    /// Why it cannot be written, with the file's name and the fix.
    pub fn open(path: &Path, size: u64, snap: SnapLength) -> Result<Self> {
        let named = |error: anyhow::Error| failed(path, &error);
        ensure!(
            size >= LEAST_SIZE,
            "a capture needs {} KiB at least (--capture-size)",
            LEAST_SIZE >> 10
        );
        let (file, length) = existing::open(path).map_err(named)?;
        let section = SectionHeaderBlock {
            options: vec![SectionHeaderOption::UserApplication(Cow::Borrowed(
                concat!("pinif ", env!("CARGO_PKG_VERSION")),
            ))],
            // That of this machine, by which a file is known that is continued.
            endianness: Endianness::native(),
            ..SectionHeaderBlock::default()
        };
        let blocks = PcapNgWriter::with_section_header(Vec::new(), section);
        let mut file = Self {
            path: path.to_owned(),
            file,
            length,
            size,
            blocks: Blocks(blocks.map_err(|error| named(error.into()))?),
            places: HashMap::new(),
            snap,
        };
        // Where there is no room for it, there is none for a packet either.
        file.flush().map_err(named)?;
        Ok(file)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes a packet.
    ///
    /// # Errors
    ///
    /// Where the disk is full, for example: then the file ends where it did before.
    pub fn write(&mut self, packet: &Packet) -> Result<Outcome> {
        let written = self.encode(packet).map_err(anyhow::Error::from);
        let outcome = written.and_then(|()| self.flush());
        outcome.map_err(|error| failed(&self.path, &error))
    }

    fn encode(&mut self, packet: &Packet) -> Result<(), PcapError> {
        let Blocks(blocks) = &mut self.blocks;
        let interface_id = match self.places.get(&packet.place) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
                blocks.write_pcapng_block(interface(&packet.place, self.snap))?;
                self.places.insert(packet.place.clone(), number);
                number
            }
        };
        let kept = match self.snap {
            SnapLength::Headers => headers::length(packet.place.ethernet, &packet.bytes),
            SnapLength::Bytes(bytes) => bytes as usize,
        };
        let direction = if packet.about.arrived {
            INBOUND
        } else {
            OUTBOUND
        };
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: since_epoch(packet.time),
            original_len: packet.length,
            data: Cow::Borrowed(&packet.bytes[..kept.min(packet.bytes.len())]),
            options: vec![
                EnhancedPacketOption::Comment(Cow::Owned(comment(packet))),
                EnhancedPacketOption::Flags(direction),
            ],
        };
        blocks.write_pcapng_block(block).map(drop)
    }

    /// Writes what was encoded; leaves it out where there is no room.
    fn flush(&mut self) -> Result<Outcome> {
        let Blocks(blocks) = &mut self.blocks;
        let bytes = std::mem::take(blocks.get_mut());
        let length = self.length + bytes.len() as u64;
        if length > self.size {
            return Ok(Outcome::Full);
        }
        if let Err(error) = self.file.write_all(&bytes) {
            // A part of a block would make what follows unreadable.
            let _ = self.file.set_len(self.length);
            return Err(anyhow!(error).context("it cannot be written"));
        }
        self.length = length;
        // The room is used again.
        let mut room = bytes;
        room.clear();
        *self.blocks.0.get_mut() = room;
        Ok(Outcome::Written)
    }
}

/// A frame with the tag that was beside it, of which it is so many bytes longer.
pub fn with_tag(bytes: &mut Vec<u8>, kind: u16, tag: u16) -> u32 {
    if bytes.len() < TAG {
        return 0;
    }
    let [[a, b], [c, d]] = [kind, tag].map(u16::to_be_bytes);
    bytes.splice(TAG..TAG, [a, b, c, d]);
    4
}

fn interface(place: &Place, snap: SnapLength) -> InterfaceDescriptionBlock<'static> {
    let name = format!("{} ({})", visible(&place.interface), visible(&place.netns));
    InterfaceDescriptionBlock {
        linktype: if place.ethernet {
            DataLink::ETHERNET
        } else {
            DataLink::RAW
        },
        snaplen: snap.most(),
        options: vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(name)),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    }
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn failed(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    anyhow!("--capture {}: {error:#}", visible_path(path))
}
