//! The end of what is attached, after the summary: the kernel waits for an RCU grace period with its lock of all interfaces held for each
//! program at an interface (`tcx_entry_sync`), so that no number of threads makes it faster, and neither does the end of the process.

use super::{
    audit::Audit,
    progress::{AT_ONCE, Progress},
};
use crate::hub::notice::Work;

impl Audit {
    /// Detaches everything, unless it persists, and reports how far it is.
    pub(super) fn detach(self) {
        let Self {
            hub,
            hooks,
            namespaces,
            leaving,
            persist,
            ..
        } = self;
        // Each socket that is made runs them.
        drop(hooks);
        leaving.rest();
        if persist.is_some() {
            return drop(namespaces);
        }
        let all = namespaces.values().map(|one| one.hooks.programs()).sum();
        let mut progress = Progress::new(Work::Detaching, all);
        let mut done = 0;
        for mut namespace in namespaces.into_values() {
            namespace.hooks.take().detach_each(|| {
                done += 1;
                if done % AT_ONCE == 0 {
                    progress.report(done, &hub);
                }
            });
        }
    }
}
