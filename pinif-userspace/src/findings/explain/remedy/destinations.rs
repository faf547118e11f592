//! The words of destinations, and of what leads to them.

use std::{fmt, iter, net::IpAddr};

use ipnet::IpNet;

use super::model::{Beside, NewRoute};
use crate::{findings::explain::phrases::shown, text::words::first_of};

impl fmt::Display for NewRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "give {}", Given(self))?;
        write!(f, "{}{}", And(&self.and, ""), self.beside)
    }
}

/// A route, and where it leads: without the order to give it.
struct Given<'a>(&'a NewRoute);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(route) = self;
        let to = destinations(&route.to);
        let table = route.table.as_ref();
        let table = table.map_or_else(String::new, |(table, _)| format!(" in table {table}"));
        if let (false, Some(way)) = (route.instead.is_empty(), &route.way) {
            return write!(
                f,
                "{to} no other route{table} than the one via {}",
                way.interface
            );
        }
        match &route.way {
            Some(way) => write!(f, "{to} a route via {}", way.interface)?,
            None => write!(f, "{to} a route via {}", route.home)?,
        }
        f.write_str(&table)
    }
}

/// The routes that other destinations lack, behind an order; `give ` before the first of them where that order is another.
pub(super) struct And<'a>(pub &'a [NewRoute], pub &'static str);

impl fmt::Display for And<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(routes, first) = self;
        let orders = iter::once(*first).chain(iter::repeat(""));
        let mut routes = routes.iter().zip(orders);
        routes.try_for_each(|(route, order)| write!(f, ", and {order}{}", Given(route)))
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::OtherRules => f.write_str(", which does nothing for what other rules lead"),
            Self::Unasked(all) => {
                write!(f, ", and it is not known yet what leads {}", first_of(all))
            }
            Self::These(all) => write!(f, ", which does nothing for {}", first_of(all)),
        }
    }
}

/// Destinations, of which commands name each.
pub(super) fn destinations(to: &[IpNet]) -> String {
    let all: Vec<String> = to.iter().copied().map(shown).collect();
    first_of(&all)
}

pub(super) fn destination(to: Option<IpAddr>) -> String {
    to.map_or("the destination".to_owned(), |to| to.to_string())
}
