//! Where packets go, as it was answered a moment ago: what several causes of a finding ask of its packet is asked once.

use super::{
    links::Links,
    routes::{Choice, RouteError, RouteOracle, RouteQuery},
};

/// Asks one namespace's routing, and keeps what it answered for as long as this lives.
pub struct KnownRoutes<'a> {
    oracle: &'a mut RouteOracle,
    links: &'a Links,
    known: Vec<(RouteQuery, Result<Choice, RouteError>)>,
}

impl<'a> KnownRoutes<'a> {
    /// Of a namespace whose interfaces are `links`.
    pub fn of(oracle: &'a mut RouteOracle, links: &'a Links) -> Self {
        Self {
            oracle,
            links,
            known: Vec::new(),
        }
    }

    /// As [`RouteOracle::choose`].
    ///
    /// # Errors
    /// As that.
    pub fn choose(&mut self, query: &RouteQuery) -> Result<Choice, RouteError> {
        let known = self.known.iter().find(|(asked, _)| asked == query);
        if let Some(again) = known.and_then(|(_, answer)| again(answer)) {
            return again;
        }
        let answer = self.oracle.choose(query, self.links);
        let kept = again(&answer).map(|answer| (query.clone(), answer));
        self.known.extend(kept);
        answer
    }
}

/// The same answer; nothing where there was none.
fn again(answer: &Result<Choice, RouteError>) -> Option<Result<Choice, RouteError>> {
    match answer {
        Ok(choice) => Some(Ok(choice.clone())),
        Err(error) => error.again().map(Err),
    }
}
