//! A library that panics on some policy ends the reading of this policy, and nothing else.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
};

thread_local! {
    /// Whether a panic of this thread is caught here, and so not printed.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// The outcome of `work`, or what it panicked with.
///
/// What it had hold of is lost with it: only what is made anew by each reading may be touched.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    silence_what_is_caught();
    let outer = CATCHES.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CATCHES.set(outer);
    outcome.map_err(|panic| message(&*panic))
}

/// The hook is the process's: once and for all, it is made to leave out what is caught here.
fn silence_what_is_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !CATCHES.try_with(Cell::get).unwrap_or_default() {
                print(panic);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a reason").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_others_follow_it() {
        for number in 0..3 {
            let outcome: Result<(), _> = caught(|| panic!("number {number}"));
            assert_eq!(outcome, Err(format!("number {number}")));
        }
        assert_eq!(caught(|| 7), Ok(7));
        assert!(!CATCHES.get());
    }

    #[test]
    fn what_is_inside_another_is_caught_by_itself() {
        let outcome = caught(|| (caught(|| panic!("inner")), CATCHES.get()));
        assert_eq!(outcome, Ok((Err::<(), _>("inner".to_owned()), true)));
    }
}
