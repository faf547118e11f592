//! From what the kernel counted to what pinif says: findings, their words, and the matrix. Nothing here reads a clock,
//! a socket or a file; whoever calls passes time and facts in.

pub mod explain;
pub mod finding;
pub mod ledger;
pub mod matrix;
