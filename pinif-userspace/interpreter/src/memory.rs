//! The memory that programs see: regions with bounds.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

/// Where the first region is. Below, as at zero, there is nothing.
const FIRST: u64 = 0x1_0000;
/// What lies between two regions, at least: an access past the end of one finds nothing.
const GAP: u64 = 0x1000;

/// Regions, each at addresses of its own. All are below 4 GiB, since `data` and `data_end` of a packet's context have 32 bits there
/// (the verifier makes pointers of them).
#[derive(Debug, Default)]
pub struct Memory {
    /// By their addresses.
    regions: Vec<(u64, Vec<u8>)>,
    /// The addresses of those that something was written to.
    written: BTreeSet<u64>,
}

impl Memory {
    /// Makes a region of these bytes, and returns its address.
    pub fn allocate(&mut self, bytes: Vec<u8>) -> u64 {
        let end = self
            .regions
            .last()
            .map_or(FIRST, |(start, bytes)| start + bytes.len() as u64 + GAP);
        let start = end.next_multiple_of(GAP);
        self.regions.push((start, bytes));
        start
    }

    /// The bytes there.
    ///
    /// # Errors
    ///
    /// Where they are not inside of one region.
    pub fn bytes(&self, at: u64, length: usize) -> Result<&[u8]> {
        let (region, offset) = self.find(at)?;
        let (_, bytes) = &self.regions[region];
        bytes
            .get(offset..offset + length)
            .with_context(|| format!("{length} bytes at {at:#x} reach beyond their region"))
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// As of [`Self::bytes`].
    pub fn write(&mut self, at: u64, new: &[u8]) -> Result<()> {
        let (region, offset) = self.find(at)?;
        let (start, bytes) = &mut self.regions[region];
        bytes
            .get_mut(offset..offset + new.len())
            .with_context(|| format!("{} bytes at {at:#x} reach beyond their region", new.len()))?
            .copy_from_slice(new);
        self.written.insert(*start);
        Ok(())
    }

    /// The addresses of the regions that something was written to since this was asked for last.
    pub fn take_written(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.written)
    }

    /// A number of this many bytes, at most eight.
    ///
    /// # Errors
    ///
    /// As of [`Self::bytes`].
    pub fn number(&self, at: u64, width: usize) -> Result<u64> {
        let mut number = [0; 8];
        number[..width].copy_from_slice(self.bytes(at, width)?);
        Ok(u64::from_le_bytes(number))
    }

    /// Writes a number of this many bytes, at most eight.
    ///
    /// # Errors
    ///
    /// As of [`Self::bytes`].
    pub fn write_number(&mut self, at: u64, width: usize, number: u64) -> Result<()> {
        self.write(at, &number.to_le_bytes()[..width])
    }

    /// The region that an address is in, and how far behind its beginning.
    fn find(&self, at: u64) -> Result<(usize, usize)> {
        let after = self.regions.partition_point(|(start, _)| *start <= at);
        let region = after
            .checked_sub(1)
            .with_context(|| format!("there is nothing at {at:#x}"))?;
        Ok((region, (at - self.regions[region].0) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_stays_inside_of_its_region() {
        let mut memory = Memory::default();
        let [first, second] = [8, 8].map(|length| memory.allocate(vec![0xab; length]));
        assert_eq!(memory.number(first + 6, 2).expect("two bytes"), 0xabab);
        memory.write_number(second, 8, 7).expect("eight bytes");
        assert_eq!(memory.number(second, 8).expect("eight bytes"), 7);
        for (at, width) in [
            (0, 1),
            (first - 1, 1),
            (first + 7, 2),
            (first + 8, 1),
            (second + 8, 1),
        ] {
            assert!(memory.number(at, width).is_err(), "{at:#x}");
            assert!(memory.write_number(at, width, 0).is_err(), "{at:#x}");
        }
    }
}
