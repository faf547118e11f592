//! Which interfaces are audited, and which cannot be. It attaches nothing itself: it takes what came of it.

use std::{collections::BTreeMap, sync::Arc};

use pinif_ebpf::key::{IfIndex, NetNsCookie};

use crate::hub::{Event, Notice, snapshot::Interface};

/// What may happen to an interface.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// It is audited from now on.
    Attached {
        /// What it is called.
        name: String,
        /// It came by itself, and not with its namespace or at the start.
        alone: bool,
    },
    /// It cannot be audited.
    Refused {
        /// What it is called.
        name: String,
        /// Why.
        error: String,
    },
    /// It is called so from now on.
    Named(String),
    /// It is gone.
    Gone,
}

/// All interfaces of the audited namespaces that were attached to, or could not be.
#[derive(Debug, Default)]
pub(super) struct Attachments(BTreeMap<(NetNsCookie, IfIndex), Attachment>);

#[derive(Debug)]
struct Attachment {
    name: String,
    refused: Option<String>,
}

impl Attachments {
    /// Takes what has happened to an interface.
    pub(super) fn on(&mut self, netns: NetNsCookie, index: IfIndex, input: Input) -> Vec<Event> {
        let at = (netns, index);
        let notice = match input {
            Input::Attached { name, alone } => {
                let attachment = Attachment {
                    name: name.clone(),
                    refused: None,
                };
                self.0.insert(at, attachment);
                alone.then_some(Notice::InterfaceAudited(name))
            }
            Input::Refused { name, error } => {
                let refused = Some(error);
                self.0.insert(at, Attachment { name, refused });
                None
            }
            Input::Named(new) => self.0.get_mut(&at).and_then(|attachment| {
                let old = std::mem::replace(&mut attachment.name, new.clone());
                let is_reported = old != new && attachment.refused.is_none();
                is_reported.then_some(Notice::InterfaceRenamed { old, new })
            }),
            Input::Gone => {
                let gone = self.0.remove(&at);
                let gone = gone.filter(|attachment| attachment.refused.is_none());
                gone.map(|attachment| Notice::InterfaceGone(attachment.name))
            }
        };
        let events = notice.into_iter();
        events
            .map(|notice| Event::Notice(Arc::new(notice)))
            .collect()
    }

    /// A namespace is not audited any more.
    pub(super) fn leave(&mut self, netns: NetNsCookie) {
        self.0.retain(|(of, _), _| *of != netns);
    }

    /// All of them, for a snapshot; `name` is what a namespace is called.
    pub(super) fn all(&self, name: impl Fn(NetNsCookie) -> String) -> Vec<Interface> {
        let all = self.0.iter();
        all.map(|((netns, _), attachment)| Interface {
            netns: name(*netns),
            name: attachment.name.clone(),
            refused: attachment.refused.clone(),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: NetNsCookie = NetNsCookie(1);
    const ETH1: IfIndex = IfIndex(2);

    fn notices(events: Vec<Event>) -> Vec<Notice> {
        let notice = |event| match event {
            Event::Notice(notice) => notice.as_ref().clone(),
            other => panic!("{other:?}"),
        };
        events.into_iter().map(notice).collect()
    }

    fn attached(name: &str, alone: bool) -> Input {
        let name = name.to_owned();
        Input::Attached { name, alone }
    }

    fn refused(name: &str) -> Input {
        Input::Refused {
            name: name.to_owned(),
            error: "no such device".to_owned(),
        }
    }

    #[test]
    fn what_comes_and_goes_by_itself_is_reported() {
        let mut attachments = Attachments::default();
        assert!(
            attachments
                .on(CARD, ETH1, attached("eth1", false))
                .is_empty()
        );
        assert!(
            attachments
                .on(CARD, ETH1, Input::Named("eth1".to_owned()))
                .is_empty()
        );
        let renamed = attachments.on(CARD, ETH1, Input::Named("up".to_owned()));
        let (old, new) = ("eth1".to_owned(), "up".to_owned());
        assert_eq!(notices(renamed), [Notice::InterfaceRenamed { old, new }]);
        let gone = attachments.on(CARD, ETH1, Input::Gone);
        assert_eq!(notices(gone), [Notice::InterfaceGone("up".to_owned())]);
        assert!(attachments.on(CARD, ETH1, Input::Gone).is_empty());
        let again = attachments.on(CARD, ETH1, attached("eth1", true));
        assert_eq!(
            notices(again),
            [Notice::InterfaceAudited("eth1".to_owned())]
        );
    }

    #[test]
    fn one_that_refused_is_kept_with_the_reason_until_it_is_attached_or_gone() {
        let mut attachments = Attachments::default();
        attachments.on(CARD, ETH1, refused("eth1"));
        let name = |_| "card".to_owned();
        let all = attachments.all(name);
        assert_eq!(all[0].refused.as_deref(), Some("no such device"));
        assert!(
            attachments
                .on(CARD, ETH1, Input::Named("up".to_owned()))
                .is_empty()
        );
        assert_eq!(attachments.all(name)[0].name, "up");
        attachments.on(CARD, ETH1, attached("up", true));
        assert_eq!(attachments.all(name)[0].refused, None);
        attachments.on(CARD, IfIndex(3), refused("eth2"));
        assert!(attachments.on(CARD, IfIndex(3), Input::Gone).is_empty());
        assert_eq!(attachments.all(name).len(), 1);
        attachments.leave(CARD);
        assert!(attachments.all(name).is_empty());
    }
}
