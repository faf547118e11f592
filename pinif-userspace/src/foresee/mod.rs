//! What would leave elsewhere if something happened to the network, answered by the kernel itself. A namespace's interfaces,
//! addresses, rules and routes are copied into a scratch namespace, it happens there, and each socket's route is looked up
//! there. What the whole policy judges worse there than here is a latent leak.

mod ask;
pub(crate) mod closed;
mod copy;
mod event;
mod judge;
mod latent;
mod numbered;
mod outcome;
mod probes;
mod route;
mod scratch;
pub(crate) mod seen;
mod wire;

pub use copy::Original;
pub use event::{Event, down, every_interface};
pub use outcome::{Foreseen, foresee, uncopied};
pub use route::RouteSpec;
