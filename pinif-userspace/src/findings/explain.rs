//! The words of a finding: why, what happened, and what fixes it. They are made when it is shown, from its facts alone.
//!
//! Names in them are as the system says them; who shows a text escapes it. What differs by kind is in [`super::kinds`].

pub(super) mod causes;
pub(super) mod choice;
pub(crate) mod foreseen;
mod home;
mod keep_out;
mod nft;
mod packet_info;
pub(super) mod phrases;
mod remedy;
mod route;
mod step;
mod subflow;
#[cfg(test)]
mod tests;
mod words;

pub use causes::{Cause, CauseKind};
pub use home::Home;
pub use keep_out::KeepOut;
pub use packet_info::PacketInfo;
pub(in crate::findings) use packet_info::{naming, takes_scope};
pub use remedy::{
    Beside, Dropped, Lost, Meets, MovedTunnel, NewRoute, OutOfRule, OuterSource, Port, Remedy,
    ServicePin, Setting, Then, Traffic, Translation,
};
pub use route::Route;
pub use step::{SocketOption, Step, Who};
pub use subflow::{EndSubflow, SubflowBy};
pub use words::{cause, explanation, remedies, remedy, steps};
