//! From what the kernel counted to what pinif says: findings, their causes and words, and the matrix.
//!
//! Only [`pipeline`] wires this to the kernel and the host; the rest is told what it needs, time included.

pub mod cause;
pub mod decode;
pub mod enforce;
pub mod enrich;
pub mod explain;
pub mod finding;
pub mod gaps;
pub mod latent;
pub mod ledger;
pub mod matrix;
pub mod pipeline;
pub mod samples;
pub mod subject;
