//! How much of a packet is captured.

use std::{fmt, str::FromStr};

use pinif_ebpf::capture::MOST_BYTES;

/// The least number of bytes that a packet may be cut to: an Ethernet header.
const LEAST_BYTES: u32 = 14;
/// How many bytes are taken of a packet of which the headers are kept: as many as headers take.
const HEADERS: u32 = 256;

/// How much of a packet is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapLength {
    /// Its headers: of the link, of IP, and of what is in it.
    Headers,
    /// So many bytes.
    Bytes(u32),
}

impl SnapLength {
    /// How many bytes the kernel is to take of a packet: a multiple of eight.
    pub fn taken(self) -> u32 {
        match self {
            Self::Headers => HEADERS,
            Self::Bytes(bytes) => bytes.next_multiple_of(8),
        }
    }

    /// How many are kept at most.
    pub fn most(self) -> u32 {
        match self {
            Self::Headers => HEADERS,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl FromStr for SnapLength {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "headers" {
            return Ok(Self::Headers);
        }
        let bytes = text.parse().ok();
        let bytes = bytes.filter(|bytes| (LEAST_BYTES..=MOST_BYTES).contains(bytes));
        bytes.map(Self::Bytes).ok_or_else(|| {
            format!("`{text}` is neither `headers` nor a number of bytes from {LEAST_BYTES} to {MOST_BYTES}")
        })
    }
}

impl fmt::Display for SnapLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers => f.write_str("headers"),
            Self::Bytes(bytes) => bytes.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snap_length_is_headers_or_bytes() {
        for (text, snap, taken) in [
            ("headers", SnapLength::Headers, 256),
            ("14", SnapLength::Bytes(14), 16),
            ("128", SnapLength::Bytes(128), 128),
            ("65535", SnapLength::Bytes(65_535), 65_536),
        ] {
            let read: SnapLength = text.parse().expect("a snap length");
            assert_eq!((read, read.taken()), (snap, taken), "{text}");
            assert_eq!(read.to_string(), text);
        }
        for text in ["", "13", "65536", "-1", "all", "128K"] {
            assert!(text.parse::<SnapLength>().is_err(), "{text}");
        }
    }
}
