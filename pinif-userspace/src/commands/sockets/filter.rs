//! Which sockets are shown.

use clap::{Args, builder::PossibleValuesParser};
use globset::GlobMatcher;

use crate::{
    findings::query::OfProcess,
    survey::{Risk, STATES, SurveyedSocket},
    text::glob::glob,
};

/// What a socket must be to be shown: one of each that is given.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Only those of this process: its number, or its name, also a pattern; may be repeated
    #[arg(long, value_name = "PROCESS", value_parser = OfProcess::read)]
    process: Vec<OfProcess>,

    /// Only those that are bound to this interface, or leave via it; also a pattern; may be repeated
    #[arg(long, value_name = "NAME", value_parser = glob)]
    interface: Vec<GlobMatcher>,

    /// Only those that stand so; may be repeated
    #[arg(long, value_name = "RISK", value_parser = PossibleValuesParser::new(Risk::ALL.map(Risk::name)))]
    risk: Vec<String>,

    /// Only those in this state; may be repeated
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(STATES))]
    state: Vec<String>,
}

impl Filter {
    /// Whether a socket is shown.
    pub fn takes(&self, socket: &SurveyedSocket) -> bool {
        let interfaces = || {
            let leaves = socket.leaves.interfaces().iter();
            leaves.chain(&socket.bound_device)
        };
        one_of(&self.process, |wanted| {
            let mut processes = socket.processes.iter();
            processes.any(|process| wanted.is(process.pid, [process.comm.as_str()]))
        }) && one_of(&self.interface, |wanted| {
            interfaces().any(|interface| wanted.is_match(interface))
        }) && one_of(&self.risk, |wanted| wanted == socket.risk.name())
            && one_of(&self.state, |wanted| wanted == socket.state)
    }
}

/// Whether it is one of those that are wanted; whatever it is, if none is named.
fn one_of<T>(wanted: &[T], is: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is)
}
