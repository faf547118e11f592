//! How it stands with what is exported.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::reply::Signal;

/// How it stands with what is exported; several tasks change it.
#[derive(Debug, Default)]
pub struct Exports(Mutex<Standing>);

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many findings have a revision that the collector has not acknowledged.
    pub unacknowledged: u64,
    /// How many records it has refused, which are not sent again.
    pub rejected_records: u64,
    /// How many values of metrics it has refused.
    pub rejected_points: u64,
    /// How many attempts have failed that are made again.
    pub failures: u64,
    /// When it acknowledged something last.
    pub acknowledged: Option<SystemTime>,
}

impl Exports {
    /// How it stands now.
    pub fn standing(&self) -> Standing {
        self.lock().clone()
    }

    /// So many findings are behind.
    pub fn behind(&self, findings: u64) {
        self.lock().unacknowledged = findings;
    }

    /// Something was acknowledged.
    pub fn acknowledged(&self) {
        self.lock().acknowledged = Some(SystemTime::now());
    }

    /// So many parts were refused.
    pub fn rejected(&self, signal: Signal, parts: u64) {
        let mut standing = self.lock();
        match signal {
            Signal::Logs => standing.rejected_records += parts,
            Signal::Metrics => standing.rejected_points += parts,
        }
    }

    /// An attempt has failed.
    pub fn failed(&self) {
        self.lock().failures += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
