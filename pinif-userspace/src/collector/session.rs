//! A policy that comes while leaks are dropped must not drop the session that pinif is run from.

use anyhow::Result;

use super::Audit;
use crate::{
    host::netns::NetNs,
    policy::Policy,
    surfaces::{Level, Sink},
};

/// Says that a policy would drop the session, if it were enforced in these namespaces: a sentence without its beginning.
/// Nothing, where it would not.
pub type Objection = fn(&Policy, &[NetNs]) -> Result<Option<String>>;

impl Audit {
    /// Whether a policy may come into force. One that would drop the session may not where leaks are dropped for good, and is
    /// warned of where that undoes itself.
    pub(super) fn spares_session(&self, policy: &Policy, sink: &mut dyn Sink) -> Result<bool> {
        if !self.enforcement.is_on() {
            return Ok(true);
        }
        let namespaces = self.namespaces.values();
        let namespaces: Vec<NetNs> = namespaces
            .map(|namespace| namespace.hooks.netns().clone())
            .collect();
        match (self.objection)(policy, &namespaces) {
            Ok(None) => Ok(true),
            Ok(Some(objection)) if self.enforcement.to_confirm().is_some() => {
                sink.note(Level::Warning, &format!("the changed policy {objection}"))?;
                Ok(true)
            }
            Ok(Some(objection)) => {
                let text = format!("the changed policy {objection}. The one in force stays");
                sink.note(Level::Error, &text)?;
                Ok(false)
            }
            Err(error) => {
                let text = format!(
                    "whether the changed policy would drop the session that pinif is run from cannot be told: {error:#}"
                );
                sink.note(Level::Warning, &text)?;
                Ok(true)
            }
        }
    }
}
