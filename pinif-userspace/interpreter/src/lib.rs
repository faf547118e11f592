//! Runs eBPF programs without a kernel, and counts the instructions and the helper calls that they execute.
//!
//! A time says something of one machine at one moment. What a program executes for a packet is the same number each time, on each
//! machine, for the same object. It is counted before the verifier rewrites the program: the kernel expands some instructions (members
//! of a context, look-ups in arrays) and removes others, each version in its own way.
//!
//! It is made for programs that the verifier has accepted. What the verifier demands is not checked, but each access must be inside of
//! one region of memory. What pinif does not use (kfuncs, fetching atomics, callbacks, the legacy packet loads) is an error.
//!
//! `rbpf` 0.4 has an interpreter, too: without atomic additions, tail calls, maps or a count of what it executes, and its memory is that
//! of the process, by ranges of addresses. What is left of it is the arithmetic ([`arithmetic`]).

mod arithmetic;
mod count;
mod helpers;
mod instruction;
mod kernel;
mod machine;
mod maps;
mod memory;
mod object;
mod run;

pub use count::Count;
pub use instruction::Instruction;
pub use kernel::{Kernel, Socket};
pub use machine::{Input, Machine, Packet};
pub use maps::{Definition, kind};
