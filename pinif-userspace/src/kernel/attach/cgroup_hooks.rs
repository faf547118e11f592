//! The hooks of a cgroup.

use std::{
    fs::File,
    io, mem,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Error, Result};
use aya::{
    Ebpf,
    programs::{CgroupSkb, CgroupSock, CgroupSockAddr, CgroupSockopt, SchedClassifier},
};
use pinif_ebpf::bypass::Bypass;

use super::{
    cgroup_link::{CgroupLink, Hook},
    missing::{Lack, MissingHooks, Refusals},
    traffic::load_traffic,
};
use crate::{
    host::{
        cgroups,
        kernel_types::{KernelTypes, TracedFunctions},
    },
    kernel::{
        bypass,
        direction::TcDirection,
        entry::Entries,
        existing,
        object::{program, refusal},
        persist::{Persist, link},
        traced::Traced,
    },
};

/// A hook that is attached where it is asked for.
#[derive(Clone, Copy)]
struct Wanted {
    /// The name of its program.
    name: &'static str,
    /// Its number in `enum bpf_attach_type`.
    attach_type: u32,
    /// What is lacking without it.
    lack: Lack,
}

/// What refuses packets that must not leave.
const REFUSE: Wanted = Wanted {
    name: "pinif_refuse",
    attach_type: 1,
    lack: Lack::Refusal,
};
/// What refuses groups of which the kernel would report where it must not.
const JOIN: Wanted = Wanted {
    name: "pinif_join",
    attach_type: 22,
    lack: Lack::Groups,
};
/// What keeps by which interface a socket's packets came.
const HEARD: Wanted = Wanted {
    name: "pinif_heard",
    attach_type: 0,
    lack: Lack::Replies,
};
/// The names of what refuses.
const REFUSING: [&str; 2] = [REFUSE.name, JOIN.name];

/// What is attached to the cgroup where it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct More {
    /// What must not leave is refused there.
    pub refuses: bool,
    /// By which interface a socket's packets came is kept, since all replies are audited.
    pub replies: bool,
    /// The same, since the policy in force keeps something inside.
    pub inside: bool,
}

impl More {
    /// Whether it is kept by which interface a socket's packets came.
    pub(super) fn hears(self) -> bool {
        self.replies || self.inside
    }

    /// Has the verifier go through what is asked for, ahead of time; what it refuses, it refuses again when that is attached.
    pub(super) fn verify(self, ebpf: &mut Ebpf) {
        if self.refuses {
            let _refused = verify_refuse(ebpf);
            let _refused = verify_join(ebpf);
        }
        if self.hears() {
            let _refused = verify_heard(ebpf);
        }
    }
}

/// The cgroup hooks, attached below one cgroup.
pub struct CgroupHooks {
    ebpf: Ebpf,
    cgroup: PathBuf,
    links: Vec<CgroupLink>,
    refusals: Refusals,
}

impl CgroupHooks {
    /// Attaches the hooks to a cgroup; those that persist take the places of a previous instance's. One that the kernel refuses
    /// while it takes others is missing ([`Self::missing`]): what is judged at the packet is worth having without it.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be opened, or the kernel refuses all hooks.
    pub fn attach(mut ebpf: Ebpf, cgroup: &Path, persist: Option<&Persist>) -> Result<Self> {
        let directory = File::open(cgroup).with_context(|| {
            format!(
                "the cgroup {} cannot be opened; --cgroup takes a directory of the cgroup v2 hierarchy",
                cgroup.display()
            )
        })?;
        let mut links = Vec::new();
        let mut refusals = Refusals::default();
        // The types have these methods in common, and no trait for them.
        macro_rules! attach {
            ($program:ty: $($name:literal = $attach_type:literal),+) => {
                for (name, attach_type) in [$(($name, $attach_type)),+] {
                    let program: &mut $program = program(&mut ebpf, name)?;
                    let mut attach = || {
                        program.load().map_err(refusal)?;
                        let program = program.fd()?.try_clone()?;
                        let hook = Hook { name, attach_type, program };
                        let pin = pin(name, cgroup, persist)?;
                        Ok(CgroupLink::attach(hook, &directory, pin)?)
                    };
                    match attach() {
                        Ok(link) => links.push(link),
                        Err(error) => {
                            let error: Error = error;
                            let error = error.context(refused(name, cgroup));
                            refusals.add(name, Lack::Sockets, error);
                        }
                    }
                }
            };
        }
        // With the numbers of `enum bpf_attach_type`.
        attach!(CgroupSock: "pinif_create" = 2, "pinif_release" = 34);
        attach!(CgroupSock: "pinif_post_bind4" = 12, "pinif_post_bind6" = 13);
        attach!(CgroupSockAddr: "pinif_connect4" = 10, "pinif_connect6" = 11);
        attach!(CgroupSockAddr: "pinif_sendmsg4" = 14, "pinif_sendmsg6" = 15);
        attach!(CgroupSockopt: "pinif_setsockopt" = 22);
        if links.is_empty() {
            refusals.failed()?;
        }
        Ok(Self {
            ebpf,
            cgroup: cgroup.to_owned(),
            links,
            refusals,
        })
    }

    /// Attaches what is asked for beside the hooks that always are. What the kernel refuses of it is missing, too: packets are judged, and
    /// dropped, at the interfaces all the same.
    pub fn attach_more(&mut self, more: More, persist: Option<&Persist>) {
        let hooks = [
            more.refuses.then(|| verify_refuse(&mut self.ebpf)),
            more.refuses.then(|| verify_join(&mut self.ebpf)),
            more.hears().then(|| verify_heard(&mut self.ebpf)),
        ];
        let wanted = [REFUSE, JOIN, HEARD].into_iter().zip(hooks);
        for (Wanted { name, lack, .. }, hook) in wanted {
            let Some(hook) = hook else { continue };
            if let Err(error) = hook.and_then(|hook| self.add(hook, persist)) {
                self.refusals.add(name, lack, error);
            }
        }
    }

    /// The hooks that the kernel refused; once.
    pub fn missing(&mut self) -> Option<MissingHooks> {
        mem::take(&mut self.refusals).missing()
    }

    fn add(&mut self, hook: Hook, persist: Option<&Persist>) -> Result<()> {
        let (name, cgroup) = (hook.name, &self.cgroup);
        let link = File::open(cgroup)
            .and_then(|directory| CgroupLink::attach(hook, &directory, pin(name, cgroup, persist)?))
            .with_context(|| refused(name, cgroup))?;
        self.links.push(link);
        Ok(())
    }

    /// Removes the hooks that a previous instance has left, and that this one does not want.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn remove_unwanted(more: More, persist: Option<&Persist>) -> Result<()> {
        let Some(persist) = persist else {
            return Ok(());
        };
        let refusing = REFUSING.into_iter().filter(|_| !more.refuses);
        let heard = [HEARD.name].into_iter().filter(|_| !more.hears());
        refusing.chain(heard).try_for_each(|name| {
            link::remove(&persist.cgroup_link(name))
                .with_context(|| format!("a previous instance's hook {name} cannot be removed"))
        })
    }

    /// Refuses nothing any more.
    pub(super) fn cease_to_refuse(&mut self) -> Result<()> {
        self.detach(&REFUSING)
    }

    /// Whether it is kept by which interface a socket's packets came.
    pub(super) fn hears(&self) -> bool {
        self.links.iter().any(|link| link.name() == HEARD.name)
    }

    /// Does not keep any more by which interface a socket's packets came.
    pub(super) fn cease_to_hear(&mut self) -> Result<()> {
        self.detach(&[HEARD.name])
    }

    /// Detaches the hooks of these names.
    fn detach(&mut self, names: &[&str]) -> Result<()> {
        let is_one = |link: &mut CgroupLink| names.contains(&link.name());
        let mut removed = self.links.extract_if(.., is_one);
        removed.try_for_each(|link| {
            let name = link.name();
            link.detach()
                .with_context(|| format!("the hook {name} cannot be detached"))
        })
    }

    /// Attaches the hooks again that are attached no longer: each that the kernel takes. `None` where all of them are.
    pub fn attach_again(&mut self) -> Option<Result<()>> {
        let removed = self.links.iter_mut().filter(|link| !link.is_attached());
        let mut removed = removed.peekable();
        removed.peek()?;
        let cgroup = &self.cgroup;
        Some(
            File::open(cgroup)
                .with_context(|| format!("the cgroup {} cannot be opened", cgroup.display()))
                .and_then(|directory| {
                    let again = removed.map(|link| {
                        let again = link.attach_again(&directory);
                        again.with_context(|| refused(link.name(), cgroup))
                    });
                    // Each is tried: the first refusal is the error, and keeps none of the others away.
                    again.fold(Ok(()), Result::and)
                }),
        )
    }

    /// Has the entry programs of what leaves go on with the traffic program from here on, which is loaded: at this instant
    /// counting begins, everywhere.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub(super) fn begin(&mut self, entries: &mut Entries) -> Result<()> {
        let direction = TcDirection::Egress;
        let program: &mut SchedClassifier = program(&mut self.ebpf, direction.program())?;
        entries.put(direction, program.fd()?)
    }

    /// Loads the traffic program for what arrives, unless it is there.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn load_ingress(&mut self, entries: &mut Entries) -> Result<()> {
        if entries.has(TcDirection::Ingress) {
            return Ok(());
        }
        load_traffic(&mut self.ebpf, TcDirection::Ingress, entries)
    }

    /// Gives every socket that was there before its owner, and prepares [`Self::bypassing`]. What the kernel refuses of it is
    /// a warning: a socket's process is then looked for when there is a finding (`sock_diag`).
    pub(super) fn look_back(&mut self, types: &KernelTypes) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Err(error) = existing::mark(&mut self.ebpf, types) {
            warnings.push(format!(
                "sockets from before may stay without a process: {error:#}"
            ));
        }
        if let Err(error) = bypass::load(&mut self.ebpf, types) {
            warnings.push(format!(
                "sockets that send past TC egress may stay unknown: {error:#}"
            ));
        }
        warnings
    }

    /// Has the kernel's functions wake pinif that change what is attached (`traced.rs`).
    pub(super) fn trace(&mut self, functions: &TracedFunctions) -> Traced {
        Traced::attach(&mut self.ebpf, functions)
    }

    /// The cgroup.
    pub(super) fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// The sockets that can send past TC egress (`bypass::list`).
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn bypassing(&mut self) -> Result<Vec<Bypass>> {
        bypass::list(&mut self.ebpf)
    }
}

/// Where the link of a hook is pinned, if that persists, and the number of the cgroup.
fn pin(name: &str, cgroup: &Path, persist: Option<&Persist>) -> io::Result<Option<(PathBuf, u64)>> {
    let of = |persist: &Persist| {
        let id = cgroups::cgroup_id(cgroup)?;
        Ok((persist.cgroup_link(name), id))
    };
    persist.map(of).transpose()
}

/// Loads a program that is attached to the cgroup where it is asked for, unless it is loaded.
macro_rules! verify {
    ($verify:ident, $program:ty, $wanted:expr) => {
        fn $verify(ebpf: &mut Ebpf) -> Result<Hook> {
            let Wanted {
                name, attach_type, ..
            } = $wanted;
            let program: &mut $program = program(ebpf, name)?;
            if program.fd().is_err() {
                let loaded = program.load().map_err(refusal);
                loaded.with_context(|| format!("the kernel refused the program {name}"))?;
            }
            Ok(Hook {
                name,
                attach_type,
                program: program.fd()?.try_clone()?,
            })
        }
    };
}

verify!(verify_refuse, CgroupSkb, REFUSE);
verify!(verify_join, CgroupSockopt, JOIN);
verify!(verify_heard, CgroupSkb, HEARD);

fn refused(name: &str, cgroup: &Path) -> String {
    format!(
        "the kernel refused the hook {name} on the cgroup {}",
        cgroup.display()
    )
}
