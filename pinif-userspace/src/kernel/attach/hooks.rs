//! The hooks of a cgroup, and the traffic programs: loaded once for the machine.

use std::{
    fs::File,
    io, mem,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Error, Result, bail};
use aya::{
    Ebpf,
    programs::{CgroupSkb, CgroupSock, CgroupSockAddr, CgroupSockopt, SchedClassifier},
};
use pinif_ebpf::bypass::Bypass;

use super::{
    cgroup_link::{CgroupLink, Hook},
    missing::{MissingHooks, Refusals},
};
use crate::{
    host::{cgroups, kernel_types::KernelTypes},
    kernel::{
        bypass,
        direction::TcDirection,
        entry::Entries,
        existing,
        object::{program, refusal},
        persist::{Persist, link},
    },
};

/// The program that refuses packets which must not leave, and its number in `enum bpf_attach_type`.
const REFUSE: (&str, u32) = ("pinif_refuse", 1);
/// The one that refuses groups of which the kernel would report where it must not.
const JOIN: (&str, u32) = ("pinif_join", 22);
/// The one that keeps by which interface a socket's packets came, where replies are audited.
const HEARD: (&str, u32) = ("pinif_heard", 0);
/// The names of both.
const REFUSING: [&str; 2] = [REFUSE.0, JOIN.0];

/// The hooks of an auditor, which a thread of their own may still be attaching: meanwhile entry programs are attached to
/// interfaces, for each of which the kernel waits until no processor uses what was there before (`tcx_entry_sync`).
pub struct Hooks {
    state: State,
    /// What is attached to the cgroup beside the hooks that always are.
    more: More,
    warnings: Vec<String>,
}

/// What is attached to the cgroup where it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct More {
    /// What must not leave is refused there.
    pub refuses: bool,
    /// Replies are audited.
    pub replies: bool,
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
            if more.refuses {
                verify_refusing(&mut ebpf)?;
            }
            if more.replies {
                verify_heard(&mut ebpf)?;
            }
            let mut hooks = CgroupHooks::attach(ebpf, &cgroup, None)?;
            let warnings = hooks.look_back(types);
            Ok((hooks, warnings))
        };
        let thread = thread::Builder::new().name("hooks".to_owned());
        Ok(Self {
            state: State::Coming(thread.spawn(bring).context("no thread can be started")?),
            more,
            warnings: Vec::new(),
        })
    }

    /// Those that are attached, to the cgroup and in the table of traffic programs.
    pub fn here(mut hooks: CgroupHooks, types: &KernelTypes) -> Self {
        let warnings = hooks.look_back(types);
        Self {
            state: State::Here(hooks),
            more: More::default(),
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
            if self.more.refuses {
                hooks.refuse(None)?;
            }
            if self.more.replies {
                hooks.hear(None)?;
            }
            self.warnings.extend(warnings);
            self.state = State::Here(hooks);
        }
        match &mut self.state {
            State::Here(hooks) => Ok(hooks),
            State::Coming(_) | State::Missing => bail!("the hooks are not attached"),
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

    /// The hooks of the cgroup that the kernel refused; once.
    pub fn missing(&mut self) -> Option<MissingHooks> {
        match &mut self.state {
            State::Here(hooks) => hooks.missing.take(),
            State::Coming(_) | State::Missing => None,
        }
    }

    /// What does not work as it should, a sentence each; once.
    pub fn warnings(&mut self) -> Vec<String> {
        mem::take(&mut self.warnings)
    }
}

/// The cgroup hooks, attached below one cgroup.
pub struct CgroupHooks {
    ebpf: Ebpf,
    cgroup: PathBuf,
    links: Vec<CgroupLink>,
    missing: Option<MissingHooks>,
}

impl CgroupHooks {
    /// Attaches the hooks to a cgroup; those that persist take the places of a previous instance's. One that the kernel refuses
    /// while it takes others is missing ([`Hooks::missing`]): what is judged at the packet is worth having without it.
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
                            refusals.add(name, error.context(refused(name, cgroup)));
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
        Ok(Self {
            ebpf,
            cgroup: cgroup.to_owned(),
            missing: refusals.missing(!links.is_empty())?,
            links,
        })
    }

    /// Refuses at the cgroup from here on what must not leave, where the policy is enforced.
    ///
    /// # Errors
    ///
    /// As of [`Self::attach`].
    pub fn refuse(&mut self, persist: Option<&Persist>) -> Result<()> {
        let hooks = verify_refusing(&mut self.ebpf)?;
        hooks
            .into_iter()
            .try_for_each(|hook| self.add(hook, persist))
    }

    /// Keeps from here on by which interface each packet came to a socket of the cgroup that may answer it.
    ///
    /// # Errors
    ///
    /// As of [`Self::attach`].
    pub fn hear(&mut self, persist: Option<&Persist>) -> Result<()> {
        let hook = verify_heard(&mut self.ebpf)?;
        self.add(hook, persist)
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
        let heard = [HEARD.0].into_iter().filter(|_| !more.replies);
        refusing.chain(heard).try_for_each(|name| {
            link::remove(&persist.cgroup_link(name))
                .with_context(|| format!("a previous instance's hook {name} cannot be removed"))
        })
    }

    /// Refuses nothing any more.
    fn cease_to_refuse(&mut self) -> Result<()> {
        let is_refusing = |link: &mut CgroupLink| REFUSING.contains(&link.name());
        let mut refusing = self.links.extract_if(.., is_refusing);
        refusing.try_for_each(|link| {
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
    fn begin(&mut self, entries: &mut Entries) -> Result<()> {
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
    fn look_back(&mut self, types: &KernelTypes) -> Vec<String> {
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
    ($ebpf:expr, $program:ty, $hook:expr) => {{
        let (name, attach_type) = $hook;
        let program: &mut $program = program($ebpf, name)?;
        if program.fd().is_err() {
            let loaded = program.load().map_err(refusal);
            loaded.with_context(|| format!("the kernel refused the program {name}"))?;
        }
        Hook {
            name,
            attach_type,
            program: program.fd()?.try_clone()?,
        }
    }};
}

/// Loads the programs that refuse.
fn verify_refusing(ebpf: &mut Ebpf) -> Result<[Hook; 2]> {
    Ok([
        verify!(ebpf, CgroupSkb, REFUSE),
        verify!(ebpf, CgroupSockopt, JOIN),
    ])
}

/// Loads the one that keeps where packets came in.
fn verify_heard(ebpf: &mut Ebpf) -> Result<Hook> {
    Ok(verify!(ebpf, CgroupSkb, HEARD))
}

fn refused(name: &str, cgroup: &Path) -> String {
    format!(
        "the kernel refused the hook {name} on the cgroup {}",
        cgroup.display()
    )
}

/// Loads the traffic program for what leaves, for every namespace's entry programs to go on with. The one for what arrives
/// comes where a policy needs it ([`CgroupHooks::load_ingress`]): the verifier takes as long for it.
///
/// # Errors
///
/// When the kernel refuses it.
pub fn load_egress(ebpf: &mut Ebpf, entries: &mut Entries) -> Result<()> {
    load_traffic(ebpf, TcDirection::Egress, entries)
}

fn load_traffic(ebpf: &mut Ebpf, direction: TcDirection, entries: &mut Entries) -> Result<()> {
    entries.put(direction, verify_traffic(ebpf, direction)?.fd()?)
}

fn verify_traffic(ebpf: &mut Ebpf, direction: TcDirection) -> Result<&mut SchedClassifier> {
    let name = direction.program();
    let program: &mut SchedClassifier = program(ebpf, name)?;
    program
        .load()
        .map_err(refusal)
        .with_context(|| format!("the kernel refused the program {name} for TC"))?;
    Ok(program)
}
