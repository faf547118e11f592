//! What people and programs see of an audit. A surface shows the events of the hub in its own way; [`open`] is the one list
//! of them.
//!
//! Texts reach a surface as processes and the kernel wrote them; each makes them safe for where it writes.

pub(crate) mod check;
mod conclusion;
pub(crate) mod details;
pub(crate) mod fix;
pub(crate) mod grid;
pub mod human;
pub mod journal;
pub mod json;
mod level;
mod lines;
pub mod look;
pub(crate) mod matrix;
pub(crate) mod metrics;
pub(crate) mod next;
pub mod notes;
mod notice;
pub mod output;
pub(crate) mod phrase;
mod pipe;
mod registry;
mod service;
mod shown;
pub(crate) mod sockets;
pub(crate) mod standing;
pub(crate) mod stderr;
mod surface;
pub(crate) mod table;
pub mod top;

pub use self::{
    level::Level,
    notice::words,
    output::WithoutReader,
    registry::{Format, is_on_standard_output, open},
    surface::{Surface, show},
};
