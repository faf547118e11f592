//! Which sockets are shown.

use clap::{Args, builder::PossibleValuesParser};

use crate::{
    commands::unmatched::{self, Chosen, readable},
    findings::query::OfProcess,
    survey::{Query, Risk, STATES, SurveyedSocket},
    text::glob::glob,
};

/// What a socket must be to be shown: one of each that is given.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Only those of this process: its number, or its name, also a pattern; may be repeated
    #[arg(long, value_name = "PROCESS", value_parser = readable(OfProcess::read))]
    process: Vec<String>,

    /// Only those that are bound to this interface, or leave via it; also a pattern; may be repeated
    #[arg(long, value_name = "NAME", value_parser = readable(glob))]
    interface: Vec<String>,

    /// Only those that stand so; may be repeated
    #[arg(long, value_name = "RISK", value_parser = PossibleValuesParser::new(Risk::ALL.map(Risk::name)))]
    risk: Vec<String>,

    /// Only those in this state; may be repeated
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(STATES))]
    state: Vec<String>,
}

impl From<&Filter> for Query {
    fn from(filter: &Filter) -> Self {
        // Each was read before.
        let processes = filter.process.iter().map(|text| OfProcess::read(text));
        let interfaces = filter.interface.iter().map(|text| glob(text));
        let risks = filter.risk.iter().filter_map(|name| Risk::named(name));
        Self {
            processes: processes.filter_map(Result::ok).collect(),
            interfaces: interfaces.filter_map(Result::ok).collect(),
            risks: risks.collect(),
            states: filter.state.clone(),
            netns: None,
        }
    }
}

/// What a socket says of what an option asks for.
type Says = fn(&SurveyedSocket) -> Vec<String>;

impl Filter {
    /// Why none of these sockets is shown; nothing where there is none.
    pub fn unmatched(&self, sockets: &[SurveyedSocket]) -> Option<String> {
        let mut chosen = Vec::new();
        let mut option = |option, values: &[String], says: Says, alone: Self| {
            let query = Query::from(&alone);
            if !values.is_empty() {
                chosen.push(Chosen {
                    option,
                    value: values.join(&format!(" --{option} ")),
                    is_any: sockets.iter().any(|socket| query.takes(socket)),
                    there: sockets.iter().flat_map(says).collect(),
                });
            }
        };
        let none = Self::default;
        let process = self.process.clone();
        option(
            "process",
            &self.process,
            processes,
            Self { process, ..none() },
        );
        let interface = self.interface.clone();
        option(
            "interface",
            &self.interface,
            interfaces,
            Self {
                interface,
                ..none()
            },
        );
        let risk = self.risk.clone();
        let says = |socket: &SurveyedSocket| vec![socket.risk.name().to_owned()];
        option("risk", &self.risk, says, Self { risk, ..none() });
        let state = self.state.clone();
        let says = |socket: &SurveyedSocket| vec![socket.state.to_owned()];
        option("state", &self.state, says, Self { state, ..none() });
        unmatched::sentence(sockets.len(), "socket", &chosen)
    }
}

fn processes(socket: &SurveyedSocket) -> Vec<String> {
    let processes = socket.processes.iter();
    processes.map(|process| process.comm.clone()).collect()
}

fn interfaces(socket: &SurveyedSocket) -> Vec<String> {
    let leaves = socket.leaves.interfaces().iter();
    leaves.chain(&socket.bound_device).cloned().collect()
}
