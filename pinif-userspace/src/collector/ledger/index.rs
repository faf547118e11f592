//! Where the findings that are not closed are, found by their keys.

use std::hash::{BuildHasher as _, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::wholes::Place;

/// The places by the keys, which stand there: what looks for one is asked whether a place has it.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: HashTable<Place>,
    hasher: DefaultHashBuilder,
}

impl Index {
    /// The place of a key.
    pub(super) fn get(&self, key: &impl Hash, has: impl Fn(Place) -> bool) -> Option<Place> {
        let hash = self.hasher.hash_one(key);
        self.places.find(hash, |&place| has(place)).copied()
    }

    /// Enters the place of a key that has none; `key_at` gives the key at a place.
    pub(super) fn insert<'k, K: Hash + 'k>(
        &mut self,
        key: &K,
        place: Place,
        key_at: impl Fn(Place) -> &'k K,
    ) {
        let Self { places, hasher } = self;
        let hash = hasher.hash_one(key);
        places.insert_unique(hash, place, |&place| hasher.hash_one(key_at(place)));
    }

    /// Takes the place of a key out.
    pub(super) fn remove(&mut self, key: &impl Hash, has: impl Fn(Place) -> bool) -> Option<Place> {
        let hash = self.hasher.hash_one(key);
        let entry = self.places.find_entry(hash, |&place| has(place)).ok()?;
        Some(entry.remove().0)
    }

    /// All places.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.places.iter().copied()
    }
}
