//! Who asks: how many may at once, and what each does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::protocol::Reader;

/// How many connections are answered at once.
pub const MOST: usize = 32;
/// Those of them that are root's alone: whoever else may ask cannot shut root out.
const OF_ROOT: usize = 8;
/// How many of them may follow events.
pub const FOLLOWERS: usize = 16;

/// All connections that are answered now.
#[derive(Debug, Default)]
pub struct Readers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    all: BTreeMap<u64, Reader>,
}

/// A connection that is answered, for as long as this lives.
#[derive(Debug)]
pub struct Ticket {
    readers: Arc<Readers>,
    number: u64,
    uid: u32,
}

/// That a connection follows events, for as long as this lives.
#[derive(Debug)]
pub struct Follows(Arc<Ticket>);

impl Readers {
    /// Takes in a connection of this process and user; nothing, where there are too many.
    pub fn enter(self: &Arc<Self>, pid: Option<u32>, uid: u32) -> Option<Ticket> {
        let mut state = self.lock();
        let most = if uid == 0 { MOST } else { MOST - OF_ROOT };
        if state.all.len() >= most {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let reader = Reader {
            pid,
            uid,
            follows: false,
        };
        state.all.insert(number, reader);
        Some(Ticket {
            readers: Arc::clone(self),
            number,
            uid,
        })
    }

    /// All of them, in the order in which they came.
    pub fn all(&self) -> Vec<Reader> {
        self.lock().all.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The user.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// All that are answered now.
    pub fn readers(&self) -> Vec<Reader> {
        self.readers.all()
    }

    /// Takes in that it follows events; nothing, where too many do.
    pub fn follow(self: &Arc<Self>) -> Option<Follows> {
        let mut state = self.readers.lock();
        let following = state.all.values().filter(|reader| reader.follows).count();
        if following >= FOLLOWERS {
            return None;
        }
        if let Some(reader) = state.all.get_mut(&self.number) {
            reader.follows = true;
        }
        Some(Follows(Arc::clone(self)))
    }
}

impl Follows {
    /// Whose it is.
    pub fn ticket(&self) -> &Ticket {
        &self.0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.readers.lock().all.remove(&self.number);
    }
}

impl Drop for Follows {
    fn drop(&mut self) {
        if let Some(reader) = self.0.readers.lock().all.get_mut(&self.0.number) {
            reader.follows = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_finds_a_place_where_others_have_taken_all_of_theirs() {
        let readers = Arc::new(Readers::default());
        let others: Vec<_> = std::iter::from_fn(|| readers.enter(None, 1000)).collect();
        assert_eq!(others.len(), MOST - OF_ROOT);
        let roots: Vec<_> = std::iter::from_fn(|| readers.enter(Some(1), 0)).collect();
        assert_eq!(roots.len(), OF_ROOT);
        assert_eq!(readers.all().len(), MOST);
        drop(others);
        assert_eq!(readers.all().len(), OF_ROOT);
        assert!(readers.enter(None, 1000).is_some());
    }

    #[test]
    fn only_so_many_follow() {
        let readers = Arc::new(Readers::default());
        let enter = || readers.enter(None, 0).map(Arc::new);
        let tickets: Vec<_> = std::iter::from_fn(enter).collect();
        let mut follow: Vec<_> = tickets.iter().filter_map(Ticket::follow).collect();
        assert_eq!(follow.len(), FOLLOWERS);
        let following = || readers.all().iter().filter(|reader| reader.follows).count();
        assert_eq!(following(), FOLLOWERS);
        follow.pop();
        assert_eq!(following(), FOLLOWERS - 1);
        assert!(tickets[0].follow().is_some());
    }
}
