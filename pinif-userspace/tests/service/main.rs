//! `pinif audit` as a program: how it begins, what it does while it runs, and how it ends.

#[path = "../bench/mod.rs"]
mod bench;

mod clsact;
mod ends;
mod errors;
mod existing;
mod interfaces;
mod journal;
mod logging;
mod names;
mod namespaces;
mod plug;
mod reload;
