//! Waiting for what gives no event.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks until the answer is as wanted, and returns that. It is asked again and again, with a pause in between: what is waited for is in a
/// program that answers what is there now, and gives no event of a change.
///
/// # Errors
/// Where there is no answer, or it is not as wanted for too long: then what is wrong with it.
pub fn until<A>(
    patience: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> Result<A>,
    is_so: impl Fn(&A) -> bool,
    wrong: impl FnOnce(&A) -> String,
) -> Result<A> {
    let end = Instant::now() + patience;
    loop {
        let answer = ask()?;
        if is_so(&answer) {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!(wrong(&answer));
        }
        thread::sleep(pause);
    }
}
