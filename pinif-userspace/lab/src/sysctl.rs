//! The namespace's own settings.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Namespace;

impl Namespace {
    /// Sets `/proc/sys/net/KEY`, for example `ipv4/ip_forward`: slashes, for a link's name may have dots in it.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.set_sysctls(&[(key, value)])
    }

    /// Sets several, one after another.
    pub(crate) fn set_sysctls(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.run(|| {
            settings.iter().try_for_each(|(key, value)| {
                let path = Path::new("/proc/sys/net").join(key);
                fs::write(&path, value)
                    .with_context(|| format!("cannot set {} to {value:?}", path.display()))
            })
        })?
    }
}
