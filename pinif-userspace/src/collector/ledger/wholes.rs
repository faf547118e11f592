//! Which findings are named in another, as parts of one.

use std::collections::HashMap;

/// A finding's place in the ledger, which it keeps.
pub type Place = u32;

/// Which places have a finding that is a part of another's. A part may have parts.
#[derive(Debug, Default)]
pub(super) struct Wholes {
    wholes: HashMap<Place, Place>,
    parts: HashMap<Place, Vec<Place>>,
}

impl Wholes {
    /// Makes it a part of another, or none; whether that is new.
    pub(super) fn set(&mut self, part: Place, whole: Option<Place>) -> bool {
        let before = match whole {
            Some(whole) => self.wholes.insert(part, whole),
            None => self.wholes.remove(&part),
        };
        if before == whole {
            return false;
        }
        if let Some(before) = before
            && let Some(parts) = self.parts.get_mut(&before)
        {
            parts.retain(|&one| one != part);
            if parts.is_empty() {
                self.parts.remove(&before);
            }
        }
        if let Some(whole) = whole {
            self.parts.entry(whole).or_default().push(part);
        }
        true
    }

    /// Whether it is a part of another.
    pub(super) fn is_part(&self, place: Place) -> bool {
        self.wholes.contains_key(&place)
    }

    /// The one that it is reported in: itself, unless it is a part.
    pub(super) fn whole_of(&self, place: Place) -> Place {
        let mut whole = place;
        // No finding goes before itself, so this ends; the bound is for a caller that says otherwise.
        for _ in 0..=self.wholes.len() {
            match self.wholes.get(&whole) {
                Some(&next) => whole = next,
                None => break,
            }
        }
        whole
    }

    /// All that are reported in it, also those that are parts of a part, in the order of their first sightings.
    pub(super) fn parts_of(&self, place: Place) -> Vec<Place> {
        let mut all = Vec::new();
        let mut from = vec![place];
        while let Some(one) = from.pop() {
            for &part in self.parts.get(&one).into_iter().flatten() {
                if part != place && !all.contains(&part) {
                    all.push(part);
                    from.push(part);
                }
            }
        }
        all.sort_unstable();
        all
    }

    /// How many are parts.
    pub(super) fn number(&self) -> usize {
        self.wholes.len()
    }
}
