//! Which sockets are shown.

use clap::{Args, builder::PossibleValuesParser};
use globset::GlobMatcher;

use crate::{
    findings::query::OfProcess,
    survey::{Query, Risk, STATES},
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

impl From<Filter> for Query {
    fn from(filter: Filter) -> Self {
        let risks = filter.risk.iter();
        Self {
            processes: filter.process,
            interfaces: filter.interface,
            risks: risks.filter_map(|name| Risk::named(name)).collect(),
            states: filter.state,
            netns: None,
        }
    }
}
