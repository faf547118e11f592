//! What stays when a collector ends: maps and links, pinned in a BPF file system. The programs go on counting, and the next
//! collector takes over.
//!
//! ```text
//! DIRECTORY            locked by the collector that runs
//!   BUILD              the layout of what is below (`map_layout.rs`): programs with another one would misread the maps
//!     own              an empty directory, where pinif made DIRECTORY
//!     state            what is true of all instances; pinned last of all maps, so that a start that was cut short has none
//!     interfaces, namespaces                     the names that they have or had
//!     findings, cells                            of interfaces whose indexes others have had since
//!     seen                                       when findings were last seen
//!     learned-began, learned-programs, learned-cgroups    where it is learned what is sent: since when, and names
//!     maps/NAME                                  the programs' maps
//!     cgroup/PROGRAM                             links of the cgroup hooks
//!     links/COOKIE-INDEX-DIRECTION               links of interfaces (TCX; a filter of clsact stays by itself)
//! ```

mod archive;
mod auditor;
mod bpffs;
mod find;
mod kept;
mod layout;
mod learned;
pub(in crate::kernel) mod link;
mod lock;
mod map_layout;
mod maps;
mod names;
mod owner;
mod pin;
mod remove;
mod seen;
mod state;

pub use archive::{ArchivedCell, ArchivedFinding, InterfaceNames};
pub use auditor::{Persist, digest_of};
pub use find::{Found, find};
pub use layout::DIRECTORY;
pub use learned::{LearnedRecords, LearningBegan, MOST_NAMES, ProgramFile};
pub use map_layout::of_this_build as map_layout_of_this_build;
pub use names::Remembered;
pub use owner::Owner;
pub use pin::Pins;
pub(super) use remove::filters_here;
pub use remove::{Removed, State, all_compatible, named, remove, remove_only};
pub use seen::Seen;
