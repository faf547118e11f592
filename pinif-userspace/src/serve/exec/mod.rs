//! The operator's program (`--exec`): it is called for what becomes of findings, with their facts in its environment.
//!
//! `queue` is what waits for a call, `environment` what a call is given, `call` one call, `hook` makes one after the other.

mod call;
mod environment;
mod hook;
mod queue;

pub use self::{
    call::Program,
    hook::{Hook, Standing},
};
