//! Equal values, kept once.

use std::{borrow::Borrow, collections::HashSet, hash::Hash, sync::Arc};

/// Values of one type. Unused ones are removed when others are added.
#[derive(Debug)]
pub struct Pool<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// How many there may be until unused ones are looked for.
    enough: usize,
}

/// A pool looks for unused values no sooner than at this many.
const ENOUGH: usize = 64;

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            enough: ENOUGH,
        }
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// The value that is equal to this one, and that all share who ask for it.
    pub fn one<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        let wanted: &T = value.borrow();
        if let Some(known) = self.known.get(wanted) {
            return known.clone();
        }
        if self.known.len() >= self.enough {
            self.known.retain(|value| Arc::strong_count(value) > 1);
            self.enough = ENOUGH.max(2 * self.known.len());
        }
        let value = value.into();
        self.known.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_unused_ones_go() {
        let mut pool = Pool::<str>::default();
        let held = pool.one("fab0");
        assert!(Arc::ptr_eq(&held, &pool.one("fab0".to_owned())));
        for number in 0..10 * ENOUGH {
            pool.one(number.to_string());
        }
        assert!(pool.known.len() <= ENOUGH, "{}", pool.known.len());
        assert!(Arc::ptr_eq(&held, &pool.one("fab0")), "it is in use");
    }
}
