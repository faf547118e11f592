//! What a rule can look at: the table of dimensions, a row each. All that a dimension is stands in its file below: its key and
//! values in the file, when it covers another rule's, its entries in the kernel's table, and its answers in userspace.
//!
//! Who needs all of them asks [`for_each_dimension`] for the rows. CONTRIBUTING has how to add one.

mod addresses;
mod cache_input;
mod cgroups;
mod definition;
mod executables;
mod ports;
mod protocols;
mod users;
mod values;

pub use addresses::{Destination, Source};
pub use cgroups::{Cgroup, Cgroups};
pub(super) use definition::{Dimension, LookUp, LookUpFile};
pub use executables::Executable;
#[cfg(test)]
pub(super) use ports::blocks;
pub use ports::{Port, SourcePort};
pub use protocols::Protocol;
pub(super) use protocols::{PROTOCOLS, protocol_name};
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
