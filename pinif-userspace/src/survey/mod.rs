//! Every socket of a namespace: whose it is, what it is bound to, and where what it sends would leave now.

mod device;
mod leaves;
mod list;
mod owned;
mod risk;
pub(crate) mod sends;
mod stuck;

pub use leaves::{Leaves, NOWHERE_4, NOWHERE_6};
pub use list::{STATES, Survey, SurveyedSocket, survey, unlisted};
pub use owned::{Owned, owned, with_owners};
pub use risk::Risk;
