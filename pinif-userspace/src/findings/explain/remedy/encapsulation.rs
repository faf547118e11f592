//! The remedy of what a route encapsulates: its outer packets have an address of the route's interface, wherever these leave.

use std::fmt;

use super::{commands::ip, model::OuterSource};
use crate::text::shell::word;

impl OuterSource {
    /// The lines of a shell that do it; none where one of them cannot be written.
    pub(super) fn commands(&self) -> Vec<String> {
        let first = self.first.as_ref().map(|route| route.commands());
        match (self.command(), first) {
            (Some(own), None) => vec![own],
            (Some(own), Some(first)) if !first.is_empty() => {
                first.into_iter().chain([own]).collect()
            }
            _ => Vec::new(),
        }
    }

    fn command(&self) -> Option<String> {
        if let Some(source) = self.set {
            return Some(format!("ip sr tunsrc set {source}"));
        }
        let route = &self.route;
        if route.gives_source() {
            return None;
        }
        // A router, and an address for what is routed, are of the interface that it has now; a next-hop object is another's as well.
        let has_more = route.via.is_some() || route.source.is_some() || route.next_hop.is_some();
        let beside = route
            .beside
            .as_ref()
            .filter(|_| !has_more && route.hops.is_empty())?;
        let mut line = format!(
            "{} route replace {}{}{} dev {} table {}",
            ip(route.prefix.addr()),
            route.prefix,
            route.selects(),
            route.encap(),
            word(&self.interface),
            route.table_number
        );
        if route.metric != 0 {
            line.push_str(&format!(" metric {}", route.metric));
        }
        line.push_str(beside);
        Some(line)
    }
}

impl fmt::Display for OuterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = &self.first {
            write!(f, "{first}, and ")?;
        }
        match self.set {
            Some(source) => write!(
                f,
                "give all that is encapsulated the source {source}, an address of {}",
                self.interface
            ),
            None if self.route.gives_source() => write!(
                f,
                "give the route {} an address of {} for its outer packets, instead of the one that it has for them (tunsrc)",
                self.route.prefix, self.interface
            ),
            None if self.route.keeps_source() => write!(
                f,
                "let the route {} lead by {}, an address of which its packets have then",
                self.route.prefix, self.interface
            ),
            None => write!(
                f,
                "let the route {} encapsulate by {}, an address of which its outer packets have then",
                self.route.prefix, self.interface
            ),
        }
    }
}
