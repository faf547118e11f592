//! What a run has executed.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

/// What a run has executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Instructions. A load of 64 bits, which takes two places, is one.
    pub instructions: u64,
    /// Calls of each helper (bpf-helpers(7)), by its name without `bpf_`.
    pub helpers: BTreeMap<&'static str, u64>,
    /// The instructions by the project's source file that they come from: of what was inlined, where it is written; of what was inlined of a
    /// library, the file before. The functions of libraries have a line of their own; without a name are programs that have no lines.
    pub files: BTreeMap<String, u64>,
    /// The maps of which something was written that all CPUs have in common: neither a CPU's own value, nor what is stored with a socket.
    pub shared: BTreeSet<String>,
}

impl Count {
    /// The calls of all helpers.
    pub fn helper_calls(&self) -> u64 {
        self.helpers.values().sum()
    }
}

impl AddAssign<&Self> for Count {
    fn add_assign(&mut self, other: &Self) {
        self.instructions += other.instructions;
        for (name, calls) in &other.helpers {
            *self.helpers.entry(name).or_default() += calls;
        }
        self.shared.extend(other.shared.iter().cloned());
        for (name, instructions) in &other.files {
            *self.files.entry(name.clone()).or_default() += instructions;
        }
    }
}
