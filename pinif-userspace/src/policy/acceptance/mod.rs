//! What the operator knows of and has accepted for a time: the findings that an `[[accept]]` names are counted and shown, and alert
//! nobody. It is no exception: it changes no verdict, and nothing of it reaches the kernel.

mod check;
mod model;
mod until;

pub(super) use check::check;
pub use model::Accept;
pub use until::Until;
