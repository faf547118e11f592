//! Who asks: how many may at once, and what each does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::protocol::Reader;

/// How many connections are answered at once.
pub const MOST: usize = ANSWERED.most;

const ANSWERED: Places = Places {
    most: 32,
    of_root: 8,
    of_one: 8,
};
/// Those of them that may follow events.
const FOLLOWING: Places = Places {
    most: 16,
    of_root: 4,
    of_one: 4,
};

/// How many places there are, and for whom: nobody who may ask can shut root or another user out.
#[derive(Debug)]
struct Places {
    /// In all.
    most: usize,
    /// Those of them that are root's alone.
    of_root: usize,
    /// How many any other user has at most.
    of_one: usize,
}

impl Places {
    /// Whether there is one more for a user, where these users have one.
    fn one_more(&self, uid: u32, taken: impl Iterator<Item = u32> + Clone) -> Result<(), Full> {
        let is_root = uid == 0;
        let own = taken.clone().filter(|other| *other == uid);
        if !is_root && own.count() >= self.of_one {
            return Err(Full::Own);
        }
        // What root has beyond its own is of those that all may have.
        let of_root = taken.clone().filter(|other| *other == 0).count();
        let kept = self.of_root.saturating_sub(of_root);
        let free = self.most - taken.count().min(self.most);
        if free > if is_root { 0 } else { kept } {
            Ok(())
        } else {
            Err(Full::All)
        }
    }
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All that this user may have are taken.
    All,
    /// This user has as many as one may have.
    Own,
}

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
    /// Takes in a connection of this process and user.
    ///
    /// # Errors
    ///
    /// Why there is no place for it.
    pub fn enter(self: &Arc<Self>, pid: Option<u32>, uid: u32) -> Result<Ticket, Full> {
        let mut state = self.lock();
        ANSWERED.one_more(uid, state.all.values().map(|reader| reader.uid))?;
        let number = state.next;
        state.next += 1;
        let reader = Reader {
            pid,
            uid,
            follows: false,
        };
        state.all.insert(number, reader);
        Ok(Ticket {
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

    /// Takes in that it follows events.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn follow(self: &Arc<Self>) -> Result<Follows, Full> {
        let mut state = self.readers.lock();
        let following = state.all.values().filter(|reader| reader.follows);
        FOLLOWING.one_more(self.uid, following.map(|reader| reader.uid))?;
        if let Some(reader) = state.all.get_mut(&self.number) {
            reader.follows = true;
        }
        Ok(Follows(Arc::clone(self)))
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

    /// As many of a user's as are taken in, and why there are no more.
    fn all_of(readers: &Arc<Readers>, uid: u32) -> (Vec<Arc<Ticket>>, Full) {
        let mut tickets = Vec::new();
        loop {
            match readers.enter(Some(1), uid) {
                Ok(ticket) => tickets.push(Arc::new(ticket)),
                Err(full) => return (tickets, full),
            }
        }
    }

    #[test]
    fn each_user_has_a_share_and_root_finds_a_place_where_others_have_all_of_theirs() {
        let readers = Arc::new(Readers::default());
        let (first, full) = all_of(&readers, 1000);
        assert_eq!((first.len(), full), (8, Full::Own));
        let (second, full) = all_of(&readers, 1001);
        assert_eq!((second.len(), full), (8, Full::Own));
        let (third, full) = all_of(&readers, 1002);
        assert_eq!((third.len(), full), (8, Full::Own));
        let (none, full) = all_of(&readers, 1003);
        assert_eq!((none.len(), full), (0, Full::All));
        let (roots, full) = all_of(&readers, 0);
        assert_eq!((roots.len(), full), (8, Full::All));
        assert_eq!(readers.all().len(), MOST);
        drop(first);
        assert_eq!(readers.all().len(), MOST - 8);
        let (fourth, full) = all_of(&readers, 1003);
        assert_eq!((fourth.len(), full), (8, Full::Own));
    }

    #[test]
    fn what_root_has_is_of_its_own_first() {
        let readers = Arc::new(Readers::default());
        let _roots: Vec<_> = (0..8).map(|_| readers.enter(None, 0)).collect();
        let others: Vec<_> = (1000..1004).map(|uid| all_of(&readers, uid).0).collect();
        let others: Vec<_> = others.iter().map(Vec::len).collect();
        assert_eq!(others, [8, 8, 8, 0]);
    }

    #[test]
    fn only_so_many_follow_and_some_places_are_roots() {
        let readers = Arc::new(Readers::default());
        let following = || readers.all().iter().filter(|reader| reader.follows).count();
        let all = (1000..1003).map(|uid| all_of(&readers, uid).0);
        let tickets: Vec<_> = all.collect();
        let follow = |tickets: &[Arc<Ticket>]| -> Vec<_> {
            tickets
                .iter()
                .filter_map(|ticket| ticket.follow().ok())
                .collect()
        };
        let mut others: Vec<_> = tickets.iter().map(|tickets| follow(tickets)).collect();
        assert!(others.iter().all(|one| one.len() == 4));
        assert_eq!(tickets[0][7].follow().err(), Some(Full::Own));
        let roots = all_of(&readers, 0).0;
        assert_eq!(follow(&roots[..2]).len(), 2);
        let roots = follow(&roots);
        assert_eq!(roots.len(), 4);
        assert_eq!(following(), 16);
        others.pop();
        assert_eq!(following(), 12);
        assert!(tickets[2][0].follow().is_ok());
    }
}
