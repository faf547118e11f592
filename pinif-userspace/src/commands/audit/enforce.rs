//! `--enforce` and `--enforce-for`: what was asked for, and how the operator confirms it.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{SigSet, Signal},
    unistd::{getpgrp, tcgetpgrp},
};
use tokio::{signal::unix, sync::mpsc};

use crate::{
    collector::{enforcement::Enforce, plan::Order},
    hub::Notice,
};

/// What `--enforce-for` and `--enforce` ask for.
pub(super) fn asked(enforce_for: Option<Duration>, enforce: bool) -> Enforce {
    match (enforce_for, enforce) {
        (Some(time), _) => Enforce::For {
            time,
            confirm: how_to_confirm(),
        },
        (None, true) => Enforce::Always,
        (None, false) => Enforce::Never,
    }
}

fn how_to_confirm() -> String {
    let kill = format!("kill -USR1 {}", std::process::id());
    if has_terminal() {
        format!("press Enter, or run {kill}")
    } else {
        format!("run {kill}")
    }
}

/// Whether a person may press Enter here: not where the terminal is another job's (tcgetpgrp(3) fails where it is not this
/// session's, and then nobody's job controls it).
fn has_terminal() -> bool {
    let input = io::stdin();
    input.is_terminal() && tcgetpgrp(&input).map_or(true, |foreground| foreground == getpgrp())
}

/// Sends an order each time that the operator confirms: by SIGUSR1, or by Enter. Where nothing is enforced there is nothing to
/// confirm, which is reported once. Within a tokio runtime.
pub(super) fn follow(
    enforce: &Enforce,
    mut confirm: unix::Signal,
    orders: mpsc::UnboundedSender<Order>,
) {
    if matches!(enforce, Enforce::For { .. }) && has_terminal() {
        let orders = orders.clone();
        // A thread of its own: what else reads this terminal may take the line, and the reading goes on.
        thread::spawn(move || {
            if enter_is_pressed() {
                // Where it has no receiver, the audit is over.
                let _ = orders.send(Order::Confirm);
            }
        });
    }
    let is_enforcing = *enforce != Enforce::Never;
    tokio::spawn(async move {
        while confirm.recv().await.is_some() {
            let order = if is_enforcing {
                Order::Confirm
            } else {
                Order::Notice(Notice::NothingToConfirm)
            };
            if orders.send(order).is_err() || !is_enforcing {
                return;
            }
        }
    });
}

/// Waits for a line on the terminal; false if none comes any more.
fn enter_is_pressed() -> bool {
    let mut stops = SigSet::empty();
    stops.add(Signal::SIGTTIN);
    // Where this became a background job, reading shall fail, and not stop the audit (termios(3), "job control").
    if stops.thread_block().is_err() {
        return false;
    }
    let mut line = String::new();
    matches!(io::stdin().lock().read_line(&mut line), Ok(read) if read > 0)
}
