//! What pins, lists and foresees: `pinif run`, `pin`, `sockets` and `foresee`.

#[path = "../bench/mod.rs"]
mod bench;
mod foresee;
mod foresee_audit;
mod foresee_property;
mod pin;
mod run;
mod sockets;
