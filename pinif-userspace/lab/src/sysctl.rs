//! The namespace's own settings.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Namespace;

impl Namespace {
    /// Sets `/proc/sys/net/KEY`, for example `ipv4/ip_forward`: slashes, for a link's name may have dots in it.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys/net").join(key);
        self.run(|| fs::write(&path, value))?
            .with_context(|| format!("cannot set {} to {value:?}", path.display()))
    }
}
