//! A policy that comes while leaks are dropped must not drop the session that pinif is run from.

use super::audit::Audit;
use crate::{
    host::netns::NetNs,
    hub::{Notice, notice::SessionPolicy},
    policy::Policy,
};

impl Audit {
    /// Whether a policy may come into force. One that would drop the session may not where leaks are dropped for good, and is
    /// warned of where that undoes itself.
    pub(super) fn spares_session(&self, policy: &Policy) -> bool {
        if !self.enforcement.is_on() {
            return true;
        }
        let namespaces = self.namespaces.values();
        let namespaces: Vec<NetNs> = namespaces
            .map(|namespace| namespace.hooks.netns().clone())
            .collect();
        let may_be_tried = self.enforcement.may_end();
        match (self.objection)(policy, &namespaces) {
            Ok(None) => true,
            Ok(Some(objection)) => {
                let policy = if may_be_tried {
                    SessionPolicy::Changed
                } else {
                    SessionPolicy::Refused
                };
                self.hub.note(Notice::SessionDropped { policy, objection });
                may_be_tried
            }
            Err(error) => {
                let error = format!("{error:#}");
                self.hub.note(Notice::SessionNotChecked { error });
                true
            }
        }
    }
}
