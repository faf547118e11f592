//! The words of destinations, and of what leads to them.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::model::{Beside, NewRoute};
use crate::{findings::explain::phrases::shown, text::words::counted};

impl fmt::Display for NewRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = destinations(&self.to);
        match &self.way {
            Some(way) => write!(f, "give {to} a route via {}", way.interface)?,
            None => write!(f, "give {to} a route via {}", self.home)?,
        }
        if let Some((table, _)) = &self.table {
            write!(f, " in table {table}")?;
        }
        write!(f, "{}", self.beside)
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::OtherRules => f.write_str(", which does nothing for what other rules lead"),
            Self::These(all) => {
                let all: Vec<IpNet> = all.iter().copied().map(IpNet::from).collect();
                write!(f, ", which does nothing for {}", destinations(&all))
            }
        }
    }
}

/// Destinations, of which commands name each.
pub(super) fn destinations(to: &[IpNet]) -> String {
    match to {
        [] => destination(None),
        [one] => shown(*one),
        [one, other] => format!("{} and {}", shown(*one), shown(*other)),
        [first, others @ ..] => {
            let many = counted(others.len() as u64, "other destination");
            format!("{} and {many}", shown(*first))
        }
    }
}

pub(super) fn destination(to: Option<IpAddr>) -> String {
    to.map_or("the destination".to_owned(), |to| to.to_string())
}
