//! Waiting for a time that may be none.

use std::time::Instant;

/// Ready at this time; never, if there is none.
pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
