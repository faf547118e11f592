//! Text: the ground floor of all that pinif prints.

pub(crate) mod age;
pub(crate) mod csv;
pub mod escape;
pub(crate) mod glob;
pub(crate) mod hash;
pub(crate) mod json;
pub(crate) mod natural;
pub(crate) mod shell;
pub(crate) mod size;
pub(crate) mod span;
pub mod streams;
pub(crate) mod words;
