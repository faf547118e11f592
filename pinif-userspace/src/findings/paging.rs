//! A page of what is listed.

/// What is on a page, of all that is asked for and is looked at in the order of its places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    from: u64,
    limit: usize,
    taken: usize,
    /// How many there are on all pages, so far.
    pub total: u64,
    /// Where the next page begins; none on the last one.
    pub next: Option<u64>,
}

impl Paging {
    /// A page that begins at a place, and has at most so many.
    pub fn new(from: u64, limit: usize) -> Self {
        Self {
            from,
            limit,
            ..Self::default()
        }
    }

    /// Counts what stands at a place, and says whether it is on the page.
    pub fn takes(&mut self, place: u64) -> bool {
        self.total += 1;
        if place < self.from {
            return false;
        }
        if self.taken == self.limit {
            self.next.get_or_insert(place);
            return false;
        }
        self.taken += 1;
        true
    }
}
