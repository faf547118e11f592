//! What stands behind the `?` of a request.

use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::answer::{Refused, problem, wrong};
use crate::text::escape::visible;

/// Reads what stands behind the `?`.
pub(crate) fn read<T: DeserializeOwned>(query: Option<String>) -> Result<T, Refused> {
    let query = query.unwrap_or_default();
    serde_urlencoded::from_str(&query).map_err(|error| wrong(&error.to_string()))
}

/// Refuses a question that has something behind the `?`, where nothing may be asked.
pub(crate) fn nothing_asked(query: Option<String>) -> Result<(), Refused> {
    match query.filter(|query| !query.is_empty()) {
        None => Ok(()),
        Some(query) => Err(problem(
            StatusCode::BAD_REQUEST,
            &format!("`?{}` has no meaning here", visible(&query)),
            "leave it out",
        )
        .into()),
    }
}
