//! Reading the packets that the programs have captured.

use std::io;

use anyhow::Result;
use aya::Ebpf;
use pinif_ebpf::capture::Captured;

use super::ring::{BytesRing, records};

/// The ring buffer of captured packets.
pub struct CapturesRing(BytesRing);

/// A packet that was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedPacket {
    /// What the programs say of it.
    pub captured: Captured,
    /// Its beginning.
    pub bytes: Vec<u8>,
}

impl CapturesRing {
    /// Takes the ring buffer of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object has none, or the runtime cannot watch it.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        BytesRing::open(ebpf, "CAPTURES").map(Self)
    }

    /// Waits for packets, and gives each to `each`. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, mut each: impl FnMut(CapturedPacket)) -> io::Result<()> {
        let item = |item: &[u8]| decode(item).into_iter().for_each(&mut each);
        self.0.next(item).await
    }

    /// Gives the packets that are there to `each`, without waiting.
    pub fn drain(&mut self, mut each: impl FnMut(CapturedPacket)) {
        self.0
            .drain(|item| decode(item).into_iter().for_each(&mut each));
    }
}

/// The packet of a record; none where it is cut short.
fn decode(record: &[u8]) -> Option<CapturedPacket> {
    let (head, rest) = record.split_at_checked(size_of::<Captured>())?;
    let captured: Captured = records(head).next()?;
    let bytes = rest.get(..captured.taken as usize)?.to_vec();
    Some(CapturedPacket { captured, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_as_long_as_its_record_says() {
        let at = std::mem::offset_of!(Captured, taken);
        let mut record = vec![0; size_of::<Captured>()];
        record[at..at + 4].copy_from_slice(&3_u32.to_ne_bytes());
        record.extend([1, 2, 3, 4]);
        let packet = decode(&record).expect("a packet");
        assert_eq!(packet.bytes, [1, 2, 3]);
        record.truncate(size_of::<Captured>() + 2);
        assert_eq!(decode(&record), None);
        assert_eq!(decode(&record[..9]), None);
    }
}
