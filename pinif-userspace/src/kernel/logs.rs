//! What the programs log (aya-log), for debugging. When it is off, they hold no code for it: the verifier removes it.

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::{Interest, unix::AsyncFd};

/// Hands the programs' records to the `log` crate, for as long as the runtime runs. Within a tokio runtime.
///
/// # Errors
///
/// When the object has no ring for them, or the runtime cannot watch it.
pub fn follow(ebpf: &mut Ebpf) -> Result<()> {
    let logger = EbpfLogger::init(ebpf).context("the programs' records cannot be read")?;
    // SAFETY: the logger owns its ring, and keeps its descriptor open and the same for as long as it lives.
    let mut logger = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE)? };
    tokio::spawn(async move {
        while let Ok(mut guard) = logger.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    });
    Ok(())
}
