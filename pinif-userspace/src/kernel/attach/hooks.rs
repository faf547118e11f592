//! The hooks and the traffic program of an auditor, which a thread of their own attaches while interfaces are attached.

use std::{
    mem,
    path::Path,
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, bail};
use aya::Ebpf;

use super::{
    cgroup_hooks::{CgroupHooks, More},
    missing::MissingHooks,
    traffic::verify_traffic,
};
use crate::{
    host::kernel_types::{KernelTypes, TracedFunctions},
    kernel::{direction::TcDirection, entry::Entries, persist::Persist, traced::Traced},
};

/// The hooks of an auditor, which a thread of their own may still be attaching: meanwhile entry programs are attached to
/// interfaces, for each of which the kernel waits until no processor uses what was there before (`tcx_entry_sync`).
pub struct Hooks {
    state: State,
    /// What is attached to the cgroup beside the hooks that always are.
    more: More,
    /// It was kept by which interface a socket's packets came, until a policy came into force that keeps nothing inside.
    has_heard: bool,
    /// What wakes pinif, once it was attached.
    traced: Option<Traced>,
    warnings: Vec<String>,
}

enum State {
    Coming(JoinHandle<Result<(CgroupHooks, Vec<String>)>>),
    Here(CgroupHooks),
    /// They could not be attached, which was reported.
    Missing,
}

impl Hooks {
    /// Begins to load the traffic program for what leaves and to attach the hooks to a cgroup. Until [`Self::get`] has
    /// waited for them, entry programs let every packet pass uncounted.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub fn come(
        ebpf: Ebpf,
        cgroup: &Path,
        more: More,
        types: &'static KernelTypes,
    ) -> Result<Self> {
        let cgroup = cgroup.to_owned();
        let bring = move || {
            let mut ebpf = ebpf;
            verify_traffic(&mut ebpf, TcDirection::Egress)?;
            more.verify(&mut ebpf);
            let mut hooks = CgroupHooks::attach(ebpf, &cgroup, None)?;
            let warnings = hooks.look_back(types);
            Ok((hooks, warnings))
        };
        let thread = thread::Builder::new().name("hooks".to_owned());
        Ok(Self {
            state: State::Coming(thread.spawn(bring).context("no thread can be started")?),
            more,
            has_heard: false,
            traced: None,
            warnings: Vec::new(),
        })
    }

    /// Those that are attached, to the cgroup and in the table of traffic programs.
    pub fn here(mut hooks: CgroupHooks, more: More, types: &KernelTypes) -> Self {
        let warnings = hooks.look_back(types);
        Self {
            state: State::Here(hooks),
            more,
            has_heard: false,
            traced: None,
            warnings,
        }
    }

    /// The hooks. Waits for them where they are not attached yet, and has the entry programs go on with the traffic program
    /// from then on.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be opened, or the kernel refuses a program or a hook.
    pub fn get(&mut self, entries: &mut Entries) -> Result<&mut CgroupHooks> {
        if matches!(self.state, State::Coming(_))
            && let State::Coming(thread) = mem::replace(&mut self.state, State::Missing)
        {
            let brought = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let (mut hooks, warnings) = brought?;
            hooks.begin(entries)?;
            hooks.attach_more(self.more, None);
            self.warnings.extend(warnings);
            self.state = State::Here(hooks);
        }
        match &mut self.state {
            State::Here(hooks) => Ok(hooks),
            State::Coming(_) | State::Missing => bail!("the hooks are not attached"),
        }
    }

    /// Has the kernel's functions wake pinif that change what is attached.
    pub fn trace(&mut self, functions: &TracedFunctions) {
        if let State::Here(hooks) = &mut self.state {
            self.traced = Some(hooks.trace(functions));
        }
    }

    /// What wakes pinif; none before [`Self::trace`].
    pub fn traced(&self) -> Option<&Traced> {
        self.traced.as_ref()
    }

    /// The cgroup.
    pub fn cgroup(&self) -> Option<&Path> {
        match &self.state {
            State::Here(hooks) => Some(hooks.cgroup()),
            State::Coming(_) | State::Missing => None,
        }
    }

    /// Loads the traffic program for what arrives, unless it is there.
    ///
    /// # Errors
    ///
    /// As of [`Self::get`].
    pub fn load_ingress(&mut self, entries: &mut Entries) -> Result<()> {
        self.get(entries)?.load_ingress(entries)
    }

    /// Refuses nothing at the cgroup any more.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn cease_to_refuse(&mut self) -> Result<()> {
        match &mut self.state {
            State::Here(hooks) => hooks.cease_to_refuse(),
            State::Coming(_) | State::Missing => Ok(()),
        }
    }

    /// Keeps from here on by which interface a socket's packets came, or does not any more, as a policy comes into force that keeps something
    /// `inside`. What the kernel refuses is missing.
    ///
    /// # Errors
    ///
    /// When what is attached cannot be detached.
    pub fn hear(&mut self, inside: bool, persist: Option<&Persist>) -> Result<()> {
        self.more.inside = inside;
        // Where they are still coming, they come as is wanted by then.
        let State::Here(hooks) = &mut self.state else {
            return Ok(());
        };
        match (self.more.hears(), hooks.hears()) {
            (true, false) => {
                let more = More {
                    inside: true,
                    ..More::default()
                };
                hooks.attach_more(more, persist);
                Ok(())
            }
            (false, true) => {
                self.has_heard = true;
                hooks.cease_to_hear()
            }
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// Whether it is known of each packet that arrived whether its socket was given it.
    pub fn hears(&self) -> bool {
        match &self.state {
            State::Here(hooks) => self.has_heard || hooks.hears(),
            State::Coming(_) | State::Missing => false,
        }
    }

    /// The hooks of the cgroup that the kernel refused; once.
    pub fn missing(&mut self) -> Option<MissingHooks> {
        match &mut self.state {
            State::Here(hooks) => hooks.missing(),
            State::Coming(_) | State::Missing => None,
        }
    }

    /// What does not work as it should, a sentence each; once.
    pub fn warnings(&mut self) -> Vec<String> {
        mem::take(&mut self.warnings)
    }
}
