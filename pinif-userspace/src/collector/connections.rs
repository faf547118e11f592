//! Which findings may be of the same connections.

pub(crate) mod evidence;

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
};

use hashbrown::HashTable;

use self::evidence::{Evidence, Group};
use super::ledger::Place;

/// How many findings of a group are compared with each other. What comes after is a finding of its own.
const MOST: usize = 64;

/// Which findings may be of the same connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// The places in the ledger of those of each group, by the group's hash: a finding takes no more than these words.
    places: HashTable<(u64, Place)>,
    /// The hashes of the groups in which one may be a part of another.
    compared: BTreeSet<u64>,
    hasher: RandomState,
}

impl Connections {
    /// The hashes of the groups in which one may be a part of another.
    pub(super) fn compared(&self) -> impl Iterator<Item = u64> {
        self.compared.iter().copied()
    }

    /// Takes a group for one of these.
    pub(super) fn compare(&mut self, hash: u64) {
        self.compared.insert(hash);
    }

    /// Enters a finding at its place. The groups of it that have others, too.
    pub(super) fn enter(&mut self, evidence: &Evidence<'_>, place: Place) -> Vec<u64> {
        let mut shared = Vec::new();
        for group in evidence.groups() {
            let hash = self.hash(&group);
            let others = self.of(hash).count();
            if others < MOST {
                self.places
                    .insert_unique(hash, (hash, place), |&(hash, _)| hash);
            }
            shared.extend((others > 0).then_some(hash));
        }
        shared
    }

    /// The hash of a group.
    pub(super) fn hash(&self, group: &Group) -> u64 {
        self.hasher.hash_one(group)
    }

    /// Those of a group.
    pub(super) fn of(&self, hash: u64) -> impl Iterator<Item = Place> {
        let all = self.places.iter_hash(hash);
        // Those of another group whose hash begins with the same bits are left out.
        all.filter(move |entry| entry.0 == hash)
            .map(|entry| entry.1)
            .take(MOST)
    }
}
