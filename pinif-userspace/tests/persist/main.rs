//! An auditor that outlives its collectors: killed at any moment, taken over, ended.

#[path = "../bench/mod.rs"]
mod bench;
#[path = "../service/plug.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod plug;

mod changes;
mod ends;
mod killed;
mod place;
