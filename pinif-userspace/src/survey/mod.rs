//! Every socket of a namespace: whose it is, what it is bound to, and where what it sends would leave now.

mod device;
mod leaves;
mod line;
mod list;
mod owned;
mod query;
mod risk;
pub(crate) mod sends;
mod stuck;

pub use leaves::{Leaves, NOWHERE_4, NOWHERE_6};
pub use line::{Line, Socket};
pub use list::{Found, STATES, Survey, SurveyedSocket, survey, unlisted};
pub use owned::{CLOSED, Owned, owned, with_owners};
pub use query::{Query, risks};
pub use risk::Risk;
