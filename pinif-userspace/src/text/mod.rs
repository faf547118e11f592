//! Text: the ground floor of all that pinif prints.

pub mod age;
pub mod escape;
pub mod glob;
pub mod hash;
pub mod json;
pub mod streams;
pub mod words;
