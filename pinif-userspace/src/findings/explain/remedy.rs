//! What fixes a finding: the remedies that there are, the commands and socket options that they are made of, and their words.

mod bound;
mod commands;
mod destinations;
mod dropped;
mod encapsulation;
mod leading;
mod meets;
mod model;
mod restored;
mod service;
mod together;
mod tunnel;
mod words;

pub use dropped::{Dropped, Port, Traffic};
pub use meets::Meets;
pub use model::{
    Beside, Lost, MovedTunnel, NewRoute, OutOfRule, OuterSource, Remedy, Setting, Then, Translation,
};
pub use service::ServicePin;
