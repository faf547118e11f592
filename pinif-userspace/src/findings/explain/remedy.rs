//! What fixes a finding: the remedies that there are, the commands and socket options that they are made of, and their words.

mod commands;
mod destinations;
mod dropped;
mod meets;
mod model;
mod words;

pub use dropped::{Dropped, Port, Traffic};
pub use model::{
    Beside, Lost, Meets, MovedTunnel, NewRoute, OutOfRule, Remedy, Setting, Then, Translation,
};
