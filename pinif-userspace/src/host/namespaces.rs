//! Which network namespaces there are, which of them are wanted, and when to look again.

mod census;
mod enter;
mod wanted;
mod watch;

pub use census::Census;
pub use enter::Enter;
pub use wanted::Wanted;
pub use watch::Watch;
