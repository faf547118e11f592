//! Why a packet left where it left: the causes that pinif distinguishes, and their words.

mod kind;
mod words;

pub use kind::{Cause, CauseKind};
pub(in crate::findings) use words::text;
