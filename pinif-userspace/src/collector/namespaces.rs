//! Namespaces come and go: they are looked for, attached to and left, as [`HostView`](super::host_view::HostView) says.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use pinif_ebpf::{arrival::NewNamespace, key::NetNsCookie};

use super::{
    attaching::Attached,
    audit::{Audit, Namespace, When},
    foresight, gaps,
    host_view::{Input, Output},
    interfaces::links_of,
    names,
    netlink_events::{NetlinkEvents, follow},
    progress::{AT_ONCE, Progress},
};
use crate::{
    findings::{
        explain::CauseKind,
        gaps::{Gap, GapKey, GapSource},
    },
    host::{
        namespaces::{Census, Enter},
        netns::NetNs,
        routes::RouteOracle,
        running::Running,
    },
    hub::{Notice, notice::Work},
    kernel::{
        attach::{NamespaceHooks, foreign_instance},
        persist::Persist,
    },
};

impl Audit {
    /// Takes in the namespaces of the beginning.
    ///
    /// # Errors
    ///
    /// When one cannot be audited, or no interface of any.
    pub(super) fn take_in_all(
        &mut self,
        namespaces: Vec<NetNs>,
        changes: &mut NetlinkEvents,
    ) -> Result<()> {
        let all = namespaces.len();
        // Something leads to these now: one of which nothing does at the first look is gone. Another is held by a descriptor alone.
        let census = Census::take(&[]).unwrap_or_default();
        let mut attached = Attached::default();
        let mut progress = Progress::new(Work::Namespaces, all);
        for (done, netns) in namespaces.into_iter().enumerate() {
            progress.report(done, &self.hub);
            match self.take_in(netns.clone(), changes) {
                Ok(new) => {
                    attached.add(new);
                    if census.has(netns.inode) {
                        let netns = netns.cookie;
                        self.on_host(Input::Attached { netns });
                    }
                    if attached.count() >= AT_ONCE {
                        self.report_early()?;
                    }
                    self.answer_early()?;
                }
                Err(error) if self.host_view.may_grow() => {
                    self.remove(netns.cookie);
                    // Nothing is to be said where it went while the others were attached.
                    if Census::take(&[]).is_ok_and(|census| census.has(netns.inode)) {
                        self.refuse(netns.inode, &netns.name, &error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if attached.count() == 0 && !self.host_view.may_grow() {
            match attached.first_refusal() {
                Some(refusal) => bail!("no interface could be attached: {refusal}"),
                None => bail!("{}", self.none_is_wanted()),
            }
        }
        Ok(())
    }

    /// Prepares the maps for a namespace, then attaches: from the first packet on, everything is known that is needed to
    /// judge it.
    fn take_in(&mut self, netns: NetNs, changes: &mut NetlinkEvents) -> Result<Attached> {
        let cookie = netns.cookie;
        refuse_foreign_instance(&netns, self.persist.as_deref())?;
        let (network, followed) = follow(&netns, self.following.mode, changes)?;
        let links = links_of(&network);
        let namespace = Namespace {
            oracle: RouteOracle::open(&netns).context("routes cannot be asked for")?,
            running: Running::open(&netns).context("interfaces cannot be asked for")?,
            hooks: NamespaceHooks::load(
                &self.following.entries,
                netns.clone(),
                self.following.mode,
                self.persist.as_ref().map(|persist| persist.pins()),
            )?,
            network,
            followed,
            enter: Enter::Nothing,
        };
        self.on_name(cookie, names::Input::Namespace(&netns.name));
        self.namespaces.insert(cookie, namespace);
        let inode = netns.inode;
        self.on_host(Input::Added {
            netns: cookie,
            inode,
        });
        self.recognize(cookie, &links)?;
        // One that was left and comes again has its interfaces under the same indexes.
        for (index, name) in &links {
            self.on_link(cookie, *index, name)?;
        }
        self.publish(cookie);
        let attached = self.attach(cookie, &links, false)?;
        self.recognized(cookie, links)?;
        self.foresight(foresight::Input::Changed(cookie));
        Ok(attached)
    }

    /// Takes the namespaces that programs made a socket in.
    pub(super) fn on_arrivals(&mut self, arrivals: &[NewNamespace]) {
        // pinif's own threads are in scratch namespaces.
        for arrival in arrivals.iter().filter(|arrival| !is_own(arrival.task)) {
            let (netns, thread) = (arrival.netns, arrival.task);
            self.on_host(Input::Socket { netns, thread });
        }
    }

    /// Leaves the namespaces that are gone, and takes in those that are new.
    pub(super) fn look_for_namespaces(&mut self, changes: &mut NetlinkEvents) -> Result<()> {
        self.following.watch.looks();
        let census = match Census::take(self.host_view.threads()) {
            Ok(census) => census,
            Err(error) => {
                let error = error.to_string();
                self.hub.note(Notice::NamespacesNotFollowed { error });
                return Ok(());
            }
        };
        for inode in self.host_view.inodes() {
            self.following.watch.keeps(inode, &census);
        }
        let present = census.inodes().map(|inode| (inode, census.name(inode)));
        let input = Input::Census(present.collect());
        for output in self.host_view.on(input, &self.names) {
            self.schedule(&output);
            match output {
                Output::LookSoon | Output::LookAtOnce => {}
                Output::Leave(gone) => self.leave(&gone),
                Output::Rename { netns, old, new } => self.rename_namespace(netns, old, new),
                Output::TakeIn { inode, name } => {
                    self.take_in_new(inode, &name, &census, changes);
                    self.between_batches()?;
                }
            }
        }
        self.on_gaps(gaps::Input::Report);
        let audited = self.host_view.inodes();
        let mut threads = self.host_view.threads().to_vec();
        threads.retain(|thread| Census::is_in(*thread, |inode| audited.contains(&inode)));
        self.on_host(Input::Threads(threads));
        Ok(())
    }

    /// Sets when the next look is due.
    fn schedule(&mut self, output: &Output) {
        match output {
            Output::LookSoon => self.following.watch.soon(),
            Output::LookAtOnce => self.following.watch.at_once(),
            Output::Leave(_) | Output::Rename { .. } | Output::TakeIn { .. } => {}
        }
    }

    /// Gives the host view an input that leads to a look at most.
    fn on_host(&mut self, input: Input) {
        for output in self.host_view.on(input, &self.names) {
            self.schedule(&output);
        }
    }

    fn take_in_new(
        &mut self,
        inode: u64,
        name: &str,
        census: &Census,
        changes: &mut NetlinkEvents,
    ) {
        let outcome = match census.open(inode) {
            // It is looked for again at the next event.
            Ok(None) => return,
            Ok(Some(netns)) => self.add_namespace(netns, census, changes),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = outcome {
            self.refuse(inode, name, &error);
        }
    }

    /// Reports once a namespace that cannot be audited.
    fn refuse(&mut self, inode: u64, name: &str, error: &anyhow::Error) {
        self.on_host(Input::Refused { inode });
        let error = format!("{error:#}");
        self.on_gaps(gaps::Input::Found(Box::new(Gap {
            key: GapKey {
                netns: NetNsCookie(0),
                interface: None,
                source: GapSource::Namespace(name.to_owned()),
            },
            cause: CauseKind::NotAttached {
                interface: format!("any interface of the network namespace {name}"),
                error: error.clone(),
            },
            process: None,
            socket: None,
        })));
        let name = name.to_owned();
        self.hub.note(Notice::NamespaceRefused { name, error });
    }

    fn add_namespace(
        &mut self,
        netns: NetNs,
        census: &Census,
        changes: &mut NetlinkEvents,
    ) -> Result<()> {
        let (cookie, inode, name) = (netns.cookie, netns.inode, netns.name.clone());
        let attached = match self.take_in(netns, changes) {
            Ok(attached) => attached,
            Err(error) => {
                self.remove(cookie);
                return Err(error);
            }
        };
        self.following.watch.keeps(inode, census);
        self.on_host(Input::Attached { netns: cookie });
        let interfaces = attached.count();
        self.hub.note(Notice::NamespaceAudited { name, interfaces });
        self.on_gaps(gaps::Input::Namespace);
        self.report_missing_hooks();
        Ok(())
    }

    /// Begins to leave namespaces that nobody is in any more: what is open here would keep them for ever. They are audited no more, but
    /// known until all is detached ([`Self::on_left`]).
    fn leave(&mut self, gone: &[NetNsCookie]) {
        for &netns in gone {
            if let Some(namespace) = self.namespaces.get_mut(&netns) {
                // Nothing is attached to what comes there meanwhile.
                namespace.followed.end();
                self.leaving.begin(netns, namespace.hooks.take());
            }
            self.attachments.leave(netns);
        }
    }

    /// Takes the namespaces from which all is detached, and closes them. What was counted in them stays.
    pub(super) fn on_left(&mut self, gone: &[NetNsCookie]) -> Result<()> {
        // Findings are described by what only the namespace knows, its addresses and routes.
        self.read_findings(When::Now)?;
        for &netns in gone {
            self.remove(netns);
            let name = self.names.namespace(netns);
            self.hub.note(Notice::NamespaceGone(name));
        }
        self.on_gaps(gaps::Input::Report);
        Ok(())
    }

    fn rename_namespace(&mut self, netns: NetNsCookie, old: String, new: String) {
        let namespace = self.namespaces.get_mut(&netns);
        let enter = namespace.map(|namespace| {
            namespace.enter = Enter::Nothing;
            namespace.enter(&new)
        });
        for key in self.ledger.keys_where(|key| key.netns() == netns) {
            self.ledger.refine(&key, |finding| {
                self.shared.amend_place(finding, |place, names| {
                    place.netns = names.one(new.as_str());
                    place.enter = enter.clone().unwrap_or(Enter::Nothing);
                });
            });
        }
        self.on_name(netns, names::Input::Namespace(&new));
        self.hub.note(Notice::NamespaceRenamed { old, new });
    }

    /// What leads a shell to the audited namespace, where it is the only one.
    pub(super) fn only_enter(&self) -> Enter {
        let mut all = self.namespaces.values();
        match (all.next(), all.next()) {
            (Some(only), None) => Enter::of(only.hooks.netns()),
            _ => Enter::Own,
        }
    }

    fn remove(&mut self, netns: NetNsCookie) {
        if let Some(mut namespace) = self.namespaces.remove(&netns) {
            namespace.hooks.detach();
            for link in namespace.network.links.iter() {
                self.on_name(netns, names::Input::Gone(link.index));
            }
            self.following.watch.forget(namespace.hooks.netns().inode);
        }
        self.attachments.leave(netns);
        self.on_host(Input::Removed { netns });
        self.publisher.forget(netns);
        self.foresight(foresight::Input::Left(netns));
        self.following.arrivals.forget(netns);
    }
}

/// Refuses a namespace to which another persistent auditor is attached: of packets that pass several interfaces, each would write
/// over the other's mark.
fn refuse_foreign_instance(netns: &NetNs, own: Option<&Persist>) -> Result<()> {
    let Some(interface) = foreign_instance(netns, own)? else {
        return Ok(());
    };
    let name = &netns.name;
    bail!(
        "a persistent auditor is attached in the network namespace {name} (to {interface}): take it over with \
         `pinif audit --persist`, or end it with `pinif detach`"
    );
}

/// Whether a thread is pinif's.
fn is_own(thread: u32) -> bool {
    Path::new("/proc/self/task")
        .join(thread.to_string())
        .exists()
}
