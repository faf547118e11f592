//! For whom a policy is read: for a service, or for a person who reads the warnings.

use std::env;

use crate::{policy::Occasion, surfaces::stderr};

/// That of this process.
pub fn occasion() -> Occasion {
    if is_service() {
        Occasion::Service
    } else {
        Occasion::ByHand
    }
}

/// Whether a service manager started pinif itself, or what it says goes to the journal. `INVOCATION_ID` alone says nothing, since the
/// shell of a desktop's terminal inherits it.
fn is_service() -> bool {
    let of_manager = env::var("SYSTEMD_EXEC_PID");
    let is_unit = of_manager.is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
    is_unit || env::var_os("NOTIFY_SOCKET").is_some() || stderr::is_the_journal()
}
