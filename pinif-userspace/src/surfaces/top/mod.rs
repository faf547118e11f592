//! The terminal view of a running auditor: `pinif top`. What is shown is pure ([`Top`]): inputs in, a frame out. Around it
//! are the terminal and the control socket's client.

mod canvas;
mod cursor;
mod data;
mod decode;
mod draw;
mod facts;
mod fetch;
mod filter;
mod keys;
mod linear;
mod page;
mod rates;
mod state;
mod suits;
mod table;
mod terminal;
mod view;
mod views;
mod wanted;
mod watch;

pub use self::data::{Fetched, Findings, Sockets};
pub use self::keys::Key;
pub use self::linear::{Linear, linear};
pub use self::state::{Effect, Input, Top};
pub use self::suits::objection;
pub use self::terminal::Terminal;
pub use self::view::View;
pub use self::wanted::Wanted;
pub use self::watch::watch;
