//! Which namespaces are audited, and for how long: what a look at the host's namespaces leads to. It looks at nothing itself, and
//! attaches nothing; `namespaces.rs` does.

use std::collections::{BTreeMap, BTreeSet};

use pinif_ebpf::key::NetNsCookie;

use super::names::Names;
use crate::host::{namespaces::Wanted, netns::anonymous};

/// How many namespaces are taken in at once: what was sighted meanwhile, and the end of the audit, wait for no more.
const AT_ONCE: usize = 8;

/// What may happen.
#[derive(Debug)]
pub(super) enum Input {
    /// A thread of another program made a socket in a namespace.
    Socket { netns: NetNsCookie, thread: u32 },
    /// These are all namespaces that something leads to now, by inode, with their names.
    Census(BTreeMap<u64, String>),
    /// A namespace is about to be attached to.
    Added { netns: NetNsCookie, inode: u64 },
    /// It was found by a census, and all of it is attached.
    Attached { netns: NetNsCookie },
    /// A namespace is not audited any more.
    Removed { netns: NetNsCookie },
    /// A namespace cannot be audited.
    Refused { inode: u64 },
    /// Of the threads that made sockets, only these are in audited namespaces.
    Threads(Vec<u32>),
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// A look is due soon.
    LookSoon,
    /// A look is due at once, to go on with the last one.
    LookAtOnce,
    /// Nothing leads to these any more: they are to be left, and then removed.
    Leave(Vec<NetNsCookie>),
    /// A namespace has a name, which had none.
    Rename {
        netns: NetNsCookie,
        old: String,
        new: String,
    },
    /// A namespace is new, and wanted.
    TakeIn { inode: u64, name: String },
}

/// The audited namespaces.
#[derive(Debug)]
pub(super) struct HostView {
    wanted: Wanted,
    audited: BTreeMap<NetNsCookie, Audited>,
    /// In the order of the command line, and then of their coming.
    order: Vec<NetNsCookie>,
    /// Threads that a hook saw in a namespace, as long as it is audited: their processes may be in another.
    threads: Vec<u32>,
    /// The inodes of those that could not be audited, which was reported.
    refused: BTreeSet<u64>,
}

#[derive(Debug)]
struct Audited {
    inode: u64,
    /// Something led to it at the last look: when nothing does any more, it is gone.
    is_kept: bool,
    /// It is being left, whether anything leads to it again or not.
    is_leaving: bool,
}

impl HostView {
    /// No namespace yet; those that are `wanted` are taken in.
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            audited: BTreeMap::new(),
            order: Vec::new(),
            threads: Vec::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Takes what has happened, with the names of now.
    pub(super) fn on(&mut self, input: Input, names: &Names) -> Vec<Output> {
        match input {
            Input::Socket { netns, thread } => match self.audited.get(&netns) {
                None if self.wanted.may_be_more() => {
                    self.threads.push(thread);
                    return vec![Output::LookSoon];
                }
                // Whose process it is gives it a name.
                Some(audited) if names.namespace(netns) == anonymous(audited.inode) => {
                    return vec![Output::LookSoon];
                }
                _ => {}
            },
            Input::Census(present) => return self.on_census(&present, names),
            Input::Added { netns, inode } => {
                let audited = Audited {
                    inode,
                    is_kept: false,
                    is_leaving: false,
                };
                self.audited.insert(netns, audited);
                self.order.push(netns);
            }
            Input::Attached { netns } => {
                if let Some(audited) = self.audited.get_mut(&netns) {
                    audited.is_kept = true;
                }
            }
            Input::Removed { netns } => {
                let removed = self.audited.remove(&netns);
                self.order.retain(|other| *other != netns);
                // Something may lead to it again, which was not taken in while it was being left.
                if removed.is_some_and(|removed| removed.is_leaving && removed.is_kept) {
                    return vec![Output::LookSoon];
                }
            }
            Input::Refused { inode } => {
                self.refused.insert(inode);
            }
            Input::Threads(threads) => self.threads = threads,
        }
        Vec::new()
    }

    fn on_census(&mut self, present: &BTreeMap<u64, String>, names: &Names) -> Vec<Output> {
        let mut outputs = Vec::new();
        let mut gone = Vec::new();
        for (&netns, audited) in &mut self.audited {
            let is_kept = present.contains_key(&audited.inode);
            if audited.is_kept && !is_kept && !audited.is_leaving {
                audited.is_leaving = true;
                gone.push(netns);
            }
            audited.is_kept = is_kept;
        }
        if !gone.is_empty() {
            outputs.push(Output::Leave(gone));
        }
        outputs.extend(self.renamed(present, names));
        self.refused.retain(|inode| present.contains_key(inode));
        // Those that are audited are held, so that no other can have the inode.
        let mut known = self.inodes();
        known.extend(&self.refused);
        let mut new = present
            .iter()
            .filter(|(inode, name)| !known.contains(inode) && self.wanted.is(name));
        outputs.extend(new.by_ref().take(AT_ONCE).map(|(&inode, name)| {
            let name = name.clone();
            Output::TakeIn { inode, name }
        }));
        if new.next().is_some() {
            outputs.push(Output::LookAtOnce);
        }
        outputs
    }

    /// Those that have a name and had none: engines make a container's namespace before its first process.
    fn renamed(&self, present: &BTreeMap<u64, String>, names: &Names) -> Vec<Output> {
        let mut renamed = Vec::new();
        for (&netns, audited) in &self.audited {
            let old = names.namespace(netns);
            if let Some(new) = present.get(&audited.inode)
                && audited.is_kept
                && !audited.is_leaving
                && old == anonymous(audited.inode)
                && *new != old
            {
                let new = new.clone();
                renamed.push(Output::Rename { netns, old, new });
            }
        }
        renamed
    }

    /// Whether namespaces are followed that were not named.
    pub(super) fn may_grow(&self) -> bool {
        self.wanted.may_be_more()
    }

    /// The audited ones, in the order of the command line, and then of their coming.
    pub(super) fn order(&self) -> &[NetNsCookie] {
        &self.order
    }

    /// The inodes of the audited ones.
    pub(super) fn inodes(&self) -> BTreeSet<u64> {
        self.audited.values().map(|audited| audited.inode).collect()
    }

    /// The threads to look for besides processes.
    pub(super) fn threads(&self) -> &[u32] {
        &self.threads
    }
}

#[cfg(test)]
mod tests {
    use globset::Glob;

    use super::{super::names, *};

    fn netns(number: u64) -> NetNsCookie {
        NetNsCookie(number + 100)
    }

    /// A census of these inodes, each named `nsINODE`.
    fn census(inodes: impl IntoIterator<Item = u64>) -> Input {
        let inodes = inodes.into_iter();
        Input::Census(inodes.map(|inode| (inode, named(inode))).collect())
    }

    fn named(inode: u64) -> String {
        format!("ns{inode}")
    }

    /// Namespaces that a census has found.
    fn audited(wanted: Wanted, inodes: impl IntoIterator<Item = u64>) -> (HostView, Names) {
        let mut view = HostView::new(wanted);
        let mut names = Names::default();
        for inode in inodes {
            let netns = netns(inode);
            names.on(netns, names::Input::Namespace(&named(inode)));
            assert_eq!(view.on(Input::Added { netns, inode }, &names), []);
            assert_eq!(view.on(Input::Attached { netns }, &names), []);
        }
        (view, names)
    }

    fn take_in(inode: u64) -> Output {
        let name = named(inode);
        Output::TakeIn { inode, name }
    }

    #[test]
    fn a_new_namespace_is_taken_in_where_it_is_wanted_and_was_not_refused() {
        let (mut view, names) = audited(Wanted::All, [1]);
        assert_eq!(view.on(census([1, 2]), &names), [take_in(2)]);
        assert_eq!(view.on(Input::Refused { inode: 2 }, &names), []);
        assert_eq!(view.on(census([1, 2]), &names), []);
        // Another that has the inode is no refused one.
        assert_eq!(view.on(census([1]), &names), []);
        assert_eq!(view.on(census([1, 2]), &names), [take_in(2)]);
        let glob = Glob::new("ns3*").expect("a glob").compile_matcher();
        let (mut view, names) = audited(Wanted::Matching(vec![glob]), []);
        assert_eq!(view.on(census([1, 3, 4]), &names), [take_in(3)]);
        let (mut view, names) = audited(Wanted::Named, [1]);
        assert_eq!(view.on(census([1, 2]), &names), []);
    }

    #[test]
    fn a_namespace_is_left_when_nothing_leads_to_it_any_more() {
        let (mut view, names) = audited(Wanted::All, [1, 2]);
        let left = view.on(census([1]), &names);
        assert_eq!(left, [Output::Leave(vec![netns(2)])]);
        assert_eq!(view.on(Input::Removed { netns: netns(2) }, &names), []);
        assert_eq!(view.order(), [netns(1)]);
        assert_eq!(view.inodes(), BTreeSet::from([1]));
        assert_eq!(view.on(census([1]), &names), []);
    }

    #[test]
    fn one_that_nothing_ever_led_to_is_not_left() {
        let mut view = HostView::new(Wanted::Named);
        let names = Names::default();
        let (netns, inode) = (netns(1), 1);
        view.on(Input::Added { netns, inode }, &names);
        assert_eq!(view.on(census([]), &names), []);
        assert_eq!(view.on(census([1]), &names), []);
        assert_eq!(
            view.on(census([]), &names),
            [Output::Leave(vec![netns])],
            "something led to it since"
        );
    }

    #[test]
    fn only_some_are_taken_in_at_once() {
        let (mut view, names) = audited(Wanted::All, []);
        let mut outputs = view.on(census(1..=9), &names);
        assert_eq!(outputs.pop(), Some(Output::LookAtOnce));
        let eight: Vec<_> = (1..=8).map(take_in).collect();
        assert_eq!(outputs, eight);
    }

    #[test]
    fn one_that_is_being_left_is_left_once_and_taken_in_again_afterwards() {
        let (mut view, names) = audited(Wanted::All, 1..=3);
        let left = Output::Leave(vec![netns(1), netns(2)]);
        assert_eq!(view.on(census([3]), &names), [left]);
        assert_eq!(view.on(census([3]), &names), []);
        assert_eq!(view.on(census([2, 3]), &names), []);
        let removed = |netns| Input::Removed { netns };
        assert_eq!(view.on(removed(netns(1)), &names), []);
        assert_eq!(view.on(removed(netns(2)), &names), [Output::LookSoon]);
        assert_eq!(view.on(census([2, 3]), &names), [take_in(2)]);
    }

    #[test]
    fn a_namespace_without_a_name_gets_one() {
        let (mut view, mut names) = audited(Wanted::All, [1, 2]);
        let nameless = anonymous(2);
        names.on(netns(2), names::Input::Namespace(&nameless));
        let socket = |thread| Input::Socket {
            netns: netns(2),
            thread,
        };
        assert_eq!(view.on(socket(7), &names), [Output::LookSoon]);
        assert_eq!(view.threads(), [0; 0], "it is audited already");
        let renamed = Output::Rename {
            netns: netns(2),
            old: nameless,
            new: named(2),
        };
        assert_eq!(view.on(census([1, 2]), &names), [renamed]);
        names.on(netns(2), names::Input::Namespace(&named(2)));
        assert_eq!(view.on(census([1, 2]), &names), []);
        assert_eq!(view.on(socket(7), &names), []);
    }

    #[test]
    fn a_thread_leads_to_a_namespace_that_is_not_known() {
        let socket = Input::Socket {
            netns: netns(5),
            thread: 7,
        };
        let (mut view, names) = audited(Wanted::All, []);
        assert_eq!(view.on(socket, &names), [Output::LookSoon]);
        assert_eq!(view.threads(), [7]);
        view.on(Input::Threads(Vec::new()), &names);
        assert_eq!(view.threads(), [0; 0]);
        let socket = Input::Socket {
            netns: netns(5),
            thread: 7,
        };
        let (mut view, names) = audited(Wanted::Named, []);
        assert_eq!(view.on(socket, &names), []);
        assert_eq!(view.threads(), [0; 0]);
    }
}
