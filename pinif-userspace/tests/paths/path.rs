//! A path, and what was executed on it.

use pinif_interpreter::Count;

/// What was executed on a path.
#[derive(Clone, Debug)]
pub struct Path {
    /// What happens.
    pub name: &'static str,
    /// What is in force, and of what kind the socket is.
    pub with: &'static str,
    /// What was executed for it, by all programs.
    pub count: Count,
    /// What it must not exceed.
    pub limit: Option<Limit>,
    /// It is the sum of others: the whole life of a socket.
    pub is_life: bool,
}

impl Path {
    /// A path without a limit of its own.
    pub fn new(name: &'static str, with: &'static str, count: Count) -> Self {
        Self {
            name,
            with,
            count,
            limit: None,
            is_life: false,
        }
    }
}

/// What nearly every packet, or the life of nearly every socket, must not exceed. To raise it takes a reason. It has room for what another compiler makes, and none for
/// another call.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub instructions: u64,
    pub calls: u64,
}

/// Adds paths that have something in common.
pub struct Paths {
    with: &'static str,
    /// Those that were added.
    pub all: Vec<Path>,
}

impl Paths {
    /// Begins with none.
    pub fn with(with: &'static str) -> Self {
        Self {
            with,
            all: Vec::new(),
        }
    }

    /// Adds one.
    pub fn add(&mut self, name: &'static str, count: Count) {
        self.all.push(Path::new(name, self.with, count));
    }

    /// Adds one that has a limit: the path of nearly every packet.
    pub fn add_limited(&mut self, limit: Limit, name: &'static str, count: Count) {
        self.add(name, count);
        if let Some(path) = self.all.last_mut() {
            path.limit = Some(limit);
        }
    }
}
