//! pinif as a program: how it begins, what it reads and prints, what it does while it runs, and how it ends.

mod accept;
#[path = "../bench/mod.rs"]
mod bench;
mod book;
mod capture;
mod clsact;
mod confined;
mod control;
mod demo;
mod ends;
mod errors;
mod existing;
mod hostile;
mod instructions;
mod interfaces;
mod journal;
mod kinds;
mod learn;
mod logging;
mod many_interfaces;
mod names;
mod namespaces;
mod output;
mod outputs;
mod page;
#[path = "../paths/mod.rs"]
mod paths;
mod policy;
mod reload;
mod reload_refused;
mod serve;
mod session;
mod settings;
mod shell;
mod signals;
mod sizes;
mod states;
mod streams;
mod top;
mod unmatched;
mod without_programs;
