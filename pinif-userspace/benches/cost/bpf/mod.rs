//! Small programs by hand: the empty ones that pinif's are measured against, those that show what a single step of
//! a program cannot cost less than, and what others attach. And what the kernel reports of any program.

pub mod assemble;
mod helper;
mod hook;
mod info;
mod kernel;
mod map;
pub mod naming;
pub mod peers;

pub use assemble::{Instruction, empty};
pub use hook::Hook;
pub use info::{Attached, Runs, attached_by, attached_to_interfaces, facts_of, runs_of};
pub use kernel::{Link, Program};
pub use map::{Map, MapKind};
