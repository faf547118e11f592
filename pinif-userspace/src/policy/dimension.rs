//! What a rule can look at: the table of dimensions, a row each. All that a dimension is stands in its file below: its key and
//! values in the file, when it covers another rule's, its entries in the kernel's table, and its answers in userspace.
//!
//! Who needs all of them asks [`for_each_dimension`] for the rows. CONTRIBUTING has how to add one.

mod addresses;
mod cgroups;
mod executables;
mod ports;
mod protocols;
mod users;

use std::{borrow::Cow, fmt, path::Path};

use pinif_ebpf::policy::{Active, InForce, RuleSet, Slot};

use super::{Rule, evaluate, file::Scalar, keys::Key, problem::Flaw};

pub use addresses::{Destination, Source};
pub use cgroups::{Cgroup, Cgroups};
pub use executables::Executable;
#[cfg(test)]
pub(super) use ports::blocks;
pub use ports::{Port, SourcePort};
pub use protocols::Protocol;
pub(super) use protocols::protocol_name;
pub use users::User;

/// Gives the rows to a macro: the field of a rule and of its tables, the type of a value, that of the table, and the
/// dimension. Rules are checked, and their keys are listed, in this order.
macro_rules! for_each_dimension {
    ($step:ident) => {
        $step! {
            /// Where the packet goes.
            destinations: IpNet, Vec<TrieEntry<PrefixKey>>, Destination;
            /// Where the packet comes from.
            sources: IpNet, Vec<TrieEntry<PrefixKey>>, Source;
            /// Its destination port.
            ports: RangeInclusive<u16>, Vec<TrieEntry<PortKey>>, Port;
            /// Its source port.
            source_ports: RangeInclusive<u16>, Vec<TrieEntry<PortKey>>, SourcePort;
            /// Its IP protocol, by number.
            protocols: u8, Vec<(NumberKey, RuleSet)>, Protocol;
            /// The user of the socket that sends it, by id.
            users: u32, Vec<(NumberKey, RuleSet)>, User;
            /// The cgroup of the socket that sends it, or one above that: paths in the v2 hierarchy, `/` or without a `/` at the
            /// end. The kernel knows them by their ids.
            cgroups: String, Cgroups, Cgroup;
            /// The program that sends it, by its path. The kernel knows it by device and inode.
            executables: PathBuf, Vec<(PathBuf, RuleSet)>, Executable;
        }
    };
}
pub(super) use for_each_dimension;

/// The id of a user, if there is such a user; the reason, if that cannot be said.
pub(super) type LookUp<'l> = &'l dyn Fn(&str) -> Result<Option<u32>, String>;
/// The file of a program at a path; none where there is none.
pub(super) type LookUpFile<'l> = dyn Fn(&Path) -> Option<evaluate::Executable> + 'l;

/// What the verdict cache must compare for two packets to be of one class, as far as rules look at the dimension
/// ([`pinif_ebpf::policy::InForce`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheInput {
    /// What it always compares of a packet.
    Packet,
    /// The source port.
    SourcePort,
    /// The user, and who else has the socket.
    User,
    /// Who has the socket.
    Owner,
}

impl CacheInput {
    /// Whether the programs compare it, and nothing else besides the packet, where rules look at the dimension of this bit.
    const fn is_compared_for(self, bit: u32) -> bool {
        let in_force = InForce(0).next(0, bit);
        let source_port = in_force.looks_at_source_ports();
        let (user, owner) = (in_force.looks_at_users(), in_force.looks_at_owners());
        match self {
            Self::Packet => !source_port && !user && !owner,
            Self::SourcePort => source_port && !user && !owner,
            Self::User => !source_port && user && owner,
            Self::Owner => !source_port && !user && owner,
        }
    }
}

/// Something of a packet, or of who sends it, that a rule can look at.
pub(super) trait Dimension {
    /// One of a rule's values.
    type Value: Clone + fmt::Debug;
    /// The entries in the kernel's table.
    type Table: Clone + fmt::Debug;
    /// The same table, asked in userspace.
    type Answers: fmt::Debug;

    /// Its key in a rule.
    const KEY: Key;
    /// What other tools call the key.
    const OTHER_NAMES: &'static [&'static str];
    /// How many values the rules together may have, so that two policies fit into the kernel's table: a range of ports is up
    /// to 30 entries, any other value is one.
    const MOST: usize;
    /// Its bit ([`pinif_ebpf::policy::dimension`]).
    const BIT: u32;
    /// What the verdict cache compares.
    const CACHE: CacheInput;

    /// The meaning of a value in the file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and the fix.
    fn parse(value: &Scalar, look_up: LookUp<'_>) -> Result<Self::Value, Flaw>;

    /// The values of a rule; none are any.
    fn of(rule: &Rule) -> Cow<'_, [Self::Value]>;

    /// Whether a rule with the outer values matches wherever one with the inner does.
    fn covers(outer: &[Self::Value], inner: &[Self::Value]) -> bool;

    /// The rules that take any value, and the entries of what each rule wants.
    fn compile(wanted: &[Vec<Self::Value>], slot: Slot) -> (RuleSet, Self::Table);

    /// Whether no rule looks at it.
    fn is_unused(table: &Self::Table) -> bool;

    /// Where the kernel finds the rules that take any value.
    fn any(active: &mut Active) -> &mut RuleSet;

    /// The table in userspace.
    fn answers(table: &Self::Table, file: &LookUpFile<'_>) -> Self::Answers;
}

/// Whether each of the inner values is covered by one of the outer; an empty list stands for every value.
fn all_of<T>(outer: &[T], inner: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    outer.is_empty()
        || (!inner.is_empty()
            && inner
                .iter()
                .all(|inner| outer.iter().any(|outer| covers(outer, inner))))
}

fn plain_absolute(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|below| {
        below
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
            && !below.contains(char::is_control)
    })
}

macro_rules! bits_and_cache_inputs {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        const _: () = {
            let mut bits = 0;
            $(
                assert!(bits & $dimension::BIT == 0, "each dimension has a bit of its own");
                bits |= $dimension::BIT;
                assert!(
                    $dimension::CACHE.is_compared_for($dimension::BIT),
                    "the verdict cache compares what the row says"
                );
            )*
            assert!(bits != 0);
        };
    };
}
for_each_dimension!(bits_and_cache_inputs);
