//! Connections of which nobody is known yet: so many at once, and each new one takes the place of one of those that are most.
//!
//! Whoever opens connections and says nothing takes no place from others but while its own are no more than theirs.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// So many at most.
#[derive(Debug)]
pub struct Unproven {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// The earliest first.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    network: IpAddr,
    ended: Arc<Notify>,
}

/// The place of a connection; free when it is dropped, or the connection is proven.
#[derive(Debug)]
pub struct Place {
    all: Arc<Unproven>,
    number: u64,
    ended: Arc<Notify>,
}

impl Unproven {
    /// So many at most.
    pub fn at_most(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
        })
    }

    /// A place for a connection of this address: another loses its own where all are taken, the earliest of the network that has most.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Place {
        let ended = Arc::new(Notify::new());
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.waiting.push(Waiting {
            number,
            network: network(peer),
            ended: Arc::clone(&ended),
        });
        if state.waiting.len() > self.most {
            let mut sizes: HashMap<IpAddr, usize> = HashMap::new();
            for waiting in &state.waiting {
                *sizes.entry(waiting.network).or_default() += 1;
            }
            let size = |waiting: &Waiting| sizes.get(&waiting.network).copied();
            let largest = state.waiting.iter().map(size).max().flatten();
            let evicted = state.waiting.iter().position(|one| size(one) == largest);
            if let Some(evicted) = evicted {
                state.waiting.remove(evicted).ended.notify_one();
            }
        }
        drop(state);
        Place {
            all: Arc::clone(self),
            number,
            ended,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until it has to make room; for ever, once it is proven.
    pub async fn lost(&self) {
        self.ended.notified().await;
    }

    /// It is known who is there: it makes room for nobody from now on.
    pub fn leave(&self) {
        let mut state = self.all.lock();
        state
            .waiting
            .retain(|waiting| waiting.number != self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// What one host has: an address of IPv4, 64 bits of one of IPv6 (RFC 4291 section 2.5.1).
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn enter(all: &Arc<Unproven>, peer: &str) -> Place {
        all.enter(peer.parse().expect("an address"))
    }

    fn has_lost(place: &Place) -> bool {
        place.lost().now_or_never().is_some()
    }

    #[test]
    fn the_earliest_of_those_that_are_most_makes_room() {
        let all = Unproven::at_most(4);
        let quiet = enter(&all, "192.0.2.1");
        let crowd: Vec<_> = ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
            .map(|peer| enter(&all, peer))
            .into();
        assert!(!crowd.iter().chain([&quiet]).any(has_lost));
        let new = enter(&all, "::ffff:192.0.2.2");
        let lost: Vec<_> = crowd.iter().map(has_lost).collect();
        assert_eq!(lost, [true, false, false]);
        assert!(![&quiet, &new].into_iter().any(has_lost));
        let newer = enter(&all, "2001:db8::4");
        let lost: Vec<_> = crowd.iter().map(has_lost).collect();
        assert_eq!(lost, [false, true, false], "each loses its place once");
        assert!(![&quiet, &new, &newer].into_iter().any(has_lost));
    }

    #[test]
    fn a_place_is_free_when_it_is_left() {
        let all = Unproven::at_most(2);
        let one = enter(&all, "192.0.2.1");
        let two = enter(&all, "192.0.2.1");
        one.leave();
        let three = enter(&all, "192.0.2.1");
        drop(two);
        let four = enter(&all, "192.0.2.1");
        assert!(![&one, &three, &four].into_iter().any(has_lost));
        let _five = enter(&all, "192.0.2.1");
        assert!(has_lost(&three) && !has_lost(&one) && !has_lost(&four));
    }
}
