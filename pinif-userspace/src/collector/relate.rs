//! Findings of the same connections: one mistake is one finding, in which what answers its packets is named.

use pinif_ebpf::sighting::{FindingKey, FindingState};

use super::{
    audit::Audit,
    connections::evidence::{Evidence, may_be_related, wholes},
    deliveries::has_arrived,
    key::Key,
    ledger::Place,
};

impl Audit {
    /// Takes a finding that was entered into the ledger and is not reported yet. Whether it is to be reported now: not where it is named in
    /// another, nor where that may come out within a second.
    pub(super) fn is_of_its_own(&mut self, key: &FindingKey, state: &FindingState) -> bool {
        let place = self.ledger.place(&Key::Counted(*key));
        let (Some(evidence), Some(place)) = (Evidence::of(key, state), place) else {
            return true;
        };
        let mut is_own = !evidence.may_be_answered();
        if !is_own {
            self.ledger.withhold(place);
        }
        for group in self.connections.enter(&evidence, place) {
            // Of the many programs that send from one address, none is of another's connections.
            if !self
                .keys_of(group)
                .any(|(_, other)| may_be_related(key, &other))
            {
                continue;
            }
            self.connections.compare(group);
            let known = self.known_of(group);
            let may_be_part = |(_, key, state): &(Place, FindingKey, FindingState)| {
                let other = Evidence::of(key, state);
                other.is_some_and(|other| evidence.may_be_part_of(&other))
            };
            if is_own && known.iter().any(may_be_part) {
                is_own = false;
                self.ledger.withhold(place);
            }
            self.relate(group, &known);
        }
        is_own
    }

    /// Compares the findings anew of which one has grown.
    pub(super) fn relate_grown(&mut self) {
        let grown = |&hash: &u64| {
            let mut places = self.connections.of(hash);
            places.any(|place| self.ledger.is_waiting(place))
        };
        let grown: Vec<u64> = self.connections.compared().filter(grown).collect();
        for group in grown {
            self.relate(group, &self.known_of(group));
        }
    }

    /// What is known by now of the findings of a group.
    fn known_of(&self, group: u64) -> Vec<(Place, FindingKey, FindingState)> {
        // What arrived is read after what answers it, so that there is no answer without it.
        let (arrived, left): (Vec<_>, Vec<_>) =
            self.keys_of(group).partition(|(_, key)| has_arrived(key));
        let read = |some: Vec<(Place, FindingKey)>| {
            let values = self.counters.values(some.iter().map(|(_, key)| key));
            let some = some.into_iter().zip(values);
            some.filter_map(|((place, key), value)| Some((place, key, value?.state)))
        };
        let left = read(left);
        left.chain(read(arrived)).collect()
    }

    /// The findings of a group, each with its place.
    fn keys_of(&self, group: u64) -> impl Iterator<Item = (Place, FindingKey)> {
        let places = self.connections.of(group);
        places.filter_map(|place| match self.ledger.key_at(place)? {
            Key::Counted(key) => Some((place, *key)),
            Key::Gap(_) => None,
        })
    }

    /// Says of each finding of a group whether it is named in another. One that is in two groups may be so in its first alone.
    fn relate(&mut self, group: u64, known: &[(Place, FindingKey, FindingState)]) {
        let all: Vec<(Place, Evidence<'_>)> = known
            .iter()
            .filter_map(|(place, key, state)| Some((*place, Evidence::of(key, state)?)))
            .collect();
        let evidence: Vec<Evidence<'_>> = all.iter().map(|(_, evidence)| *evidence).collect();
        for ((place, one), whole) in all.iter().zip(wholes(&evidence)) {
            let home = one.home().map(|home| self.connections.hash(&home));
            if home == Some(group) {
                self.ledger.relate(*place, whole.map(|whole| all[whole].0));
            }
        }
    }
}
