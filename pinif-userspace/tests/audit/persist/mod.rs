//! An auditor that outlives its collectors: killed at any moment, taken over, ended.

mod changes;
mod ends;
mod killed;
pub mod place;
