//! Which sockets somebody asks for.

use globset::GlobMatcher;

use super::{list::SurveyedSocket, risk::Risk};
use crate::findings::query::{OfProcess, each};

/// Which sockets are asked for: those of which all holds that is given; where several values of one are given, any of them.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of one of these processes.
    pub processes: Vec<OfProcess>,
    /// Bound to such an interface, or leaving via it.
    pub interfaces: Vec<GlobMatcher>,
    /// Standing so.
    pub risks: Vec<Risk>,
    /// In one of these states, by their names ([`super::STATES`]).
    pub states: Vec<String>,
    /// In a network namespace of such a name.
    pub netns: Option<GlobMatcher>,
}

impl Query {
    /// Whether a socket is asked for.
    pub fn takes(&self, socket: &SurveyedSocket) -> bool {
        let interfaces = || {
            let leaves = socket.leaves.interfaces().iter();
            leaves.chain(&socket.bound_device)
        };
        one_of(&self.processes, |wanted| {
            let mut processes = socket.processes.iter();
            processes.any(|process| wanted.is(process.pid, [process.comm.as_str()]))
        }) && one_of(&self.interfaces, |wanted| {
            interfaces().any(|interface| wanted.is_match(interface))
        }) && one_of(&self.risks, |wanted| *wanted == socket.risk)
            && one_of(&self.states, |wanted| wanted == socket.state)
            && (self.netns.as_ref()).is_none_or(|netns| netns.is_match(&socket.netns))
    }
}

/// The risks of a list of names with commas between them.
///
/// # Errors
///
/// Which name is none, and those that there are.
pub fn risks(text: &str) -> Result<Vec<Risk>, String> {
    each(text, Risk::named, "risk", &Risk::ALL.map(Risk::name))
}

/// Whether it is one of those that are wanted; whatever it is, if none is named.
fn one_of<T>(wanted: &[T], is: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is)
}
