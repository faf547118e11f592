//! What identifies a finding.

use std::fmt;

use crate::text::hash::fnv1a;

/// What a finding's `id` says: the low 48 bits of a hash of the finding's key, as twelve hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(pub u64);

impl FindingId {
    /// The identity that comes of a key's bytes.
    pub fn of(key: &[u8]) -> Self {
        Self(fnv1a(key.iter().copied()))
    }

    /// How many hexadecimal digits are written of it.
    pub const DIGITS: usize = 12;
    /// What is written of it.
    const WRITTEN: u64 = 0xffff_ffff_ffff;

    /// Whether a word is written as ids are.
    pub fn is_id(word: &str) -> bool {
        word.len() == Self::DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Whether it is the one that was written so.
    pub fn is_written(self, text: &str) -> bool {
        let number = (text.len() == Self::DIGITS).then(|| u64::from_str_radix(text, 16).ok());
        number.flatten() == Some(self.0 & Self::WRITTEN)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0 & Self::WRITTEN)
    }
}
